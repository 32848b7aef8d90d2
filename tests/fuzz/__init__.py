"""Everything that parses what others wrote, fed with what nobody would write: only the documented errors come out."""
