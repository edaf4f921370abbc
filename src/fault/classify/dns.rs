//! Owns the meaning of what name servers say.
