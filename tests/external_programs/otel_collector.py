"""A collector that reads OTLP with the messages of OpenTelemetry itself. It prints its port, and then every
request as a line of JSON."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = ExportTraceServiceRequest.FromString(body)
        print(MessageToJson(request, indent=None), flush=True)
        # Fields that the messages do not know would be kept and sent on.
        unknown = request.SerializeToString(deterministic=True) != canonical(request)
        print(f"unknown: {unknown}", flush=True)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def canonical(request):
    """Returns the request without fields that its messages do not know."""
    copy = ExportTraceServiceRequest()
    copy.CopyFrom(request)
    copy.DiscardUnknownFields()
    return copy.SerializeToString(deterministic=True)


server = HTTPServer(("127.0.0.1", 0), Collector)
print(server.server_port, flush=True)
sys.stdin.close()
server.serve_forever()
