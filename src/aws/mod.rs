//! EC2 and SSM, behind our own words.
