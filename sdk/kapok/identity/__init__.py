"""Who a party is: names, certificates, keys, enrolment tokens."""
