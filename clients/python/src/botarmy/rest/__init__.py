"""All operations of the server and their types, generated from its OpenAPI document.

`botarmy.rest.api` has a module for each operation, with the functions `sync` and `asyncio`, which
return the response, and `sync_detailed` and `asyncio_detailed`, which return its status and headers,
too. `botarmy.rest.models` has the types.
"""
