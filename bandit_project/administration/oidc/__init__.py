"""Log-in by OpenID Connect: the code flow with PKCE. Off unless OIDC_ISSUER is set; needs the extra ``oidc``.

``provider`` reads what the provider says of itself, ``round_trip`` keeps what a browser must bring back, ``token``
judges what the provider answered, ``accounts`` finds whose account it is, ``views`` are the three addresses.
"""
