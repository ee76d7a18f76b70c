"""Who a party is: names, certificates, private keys, enrolment tokens."""
