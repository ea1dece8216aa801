"""Kinds of files that the pages' file fields offer."""

FILE_TYPES = ".csv,.tsv,.txt,.xlsx,text/csv,text/tab-separated-values"
