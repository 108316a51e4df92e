/** What the name of a schema or a table may be: it becomes a part of statements. */
export const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/

export const IDENTIFIER_FORM = "a letter or underscore, then at most 62 letters, digits and underscores"
