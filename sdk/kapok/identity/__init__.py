"""Who a party is: names, certificates, private keys, enrolment tokens.

names, certificates      SPIFFE IDs; who a certificate names, and whether it stands under a root
credentials, keyfiles    a party's own key, certificate and root; the files they lie in
issuing, tokens          the authority's signatures; what a newcomer is given
expiry, renewal          an end is said in time; new files are taken over while a daemon runs
revocation               the signed list of what is good no longer
"""
