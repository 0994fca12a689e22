from twisted.application.service import ServiceMaker

finger = ServiceMaker("finger", "finger.tap", "A finger server with web, XML-RPC, IRC and PB adapters.", "finger")
