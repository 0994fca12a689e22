from twisted.application.service import ServiceMaker

finger = ServiceMaker("finger", "finger.tap", "A finger server (RFC 1288), on the web, XML-RPC, IRC and PB too.", "finger")
