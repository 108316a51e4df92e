/**
 * Passwords stay out of everything that is printed.
 */

/** The text without users, passwords and URL parameters: `postgres://host/database`. */
export const withoutSecrets = (text: string): string =>
  text
    .replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/|postgres(?:ql)?:)(?:[^\s"'`]*@)?([^\s"'`?]*)(\?[^\s"'`]*)?/gi, "$1$2")
    .replaceAll(/[^\s"'`]*:[^\s"'`]*@/g, "...@")
