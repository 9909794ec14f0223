"""Serves the OpenID provider of the package oidc-provider-mock on a free port, until standard input
ends. It accepts every client, signs in every person, and takes the claims of one with PUT /users/NAME.
"""

import os
import sys
import threading

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import oidc_provider_mock  # noqa: E402

with oidc_provider_mock.run_server_in_thread() as server:
    print(f"serving on http://localhost:{server.server_port}", flush=True)
    ended = threading.Thread(target=sys.stdin.read)
    ended.start()
    ended.join()
