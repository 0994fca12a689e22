from twisted.application.service import ServiceMaker

finger = ServiceMaker("finger", "finger.tap", "A finger server, also on the web, XML-RPC, IRC and PB.", "finger")
