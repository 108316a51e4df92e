/**
 * Passwords stay out of everything that is printed. Takes linear time, because a message may quote a long argument.
 */

/** The text without users, passwords and URL parameters: `postgres://host/database`. */
export const withoutSecrets = (text: string): string =>
  withoutAssigned(text).replaceAll(/[^\s"'`]+/g, (word) => withoutUser(withoutUrlSecrets(word)))

/** The URL of a database without its password. It still leads there, if the password is found elsewhere. */
export const withoutPassword = (url: string): string => {
  const [address = "", query] = url.replace(/^([^:]+:\/\/[^:/?@]*):.*@/s, "$1@").split(/\?(.*)/s)
  const kept = query?.split("&").filter((part) => !new URLSearchParams(part).has("password")) ?? []
  return kept.length === 0 ? address : `${address}?${kept.join("&")}`
}

/**
 * `password=...`, with or without spaces and quotes. In front of a host it belongs to a URL. A password may hold quotes, and spaces
 * behind a backslash.
 */
const withoutAssigned = (text: string): string =>
  text.replaceAll(
    /(?<![^\s"'`?&,;])(\w*password\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|"[^"]*"?|(?:[^\s"'`\\]|\\.)(?:[^\s\\]|\\.)*)/gis,
    "$1..."
  )

/** A URL without what is in front of its host, and without its parameters. */
const withoutUrlSecrets = (word: string): string => {
  const start = endOfScheme(word)
  if (start === null) return word
  const host = word.slice(Math.max(start, word.lastIndexOf("@") + 1))
  return word.slice(0, start) + host.split("?", 1)[0]
}

/** Where a URL's scheme ends; null if there is none. `postgres:` needs no slashes. */
const endOfScheme = (word: string): number | null => {
  const slashes = word.indexOf("://")
  const postgres = /\bpostgres(?:ql)?:(?:\/\/)?/i.exec(word)
  if (postgres !== null && (slashes < 0 || postgres.index < slashes)) return postgres.index + postgres[0].length
  return slashes < 0 ? null : slashes + "://".length
}

/** `user:password@host` without the user and the password. */
const withoutUser = (word: string): string => {
  const [colon, at] = [word.indexOf(":"), word.lastIndexOf("@")]
  return colon >= 0 && colon < at ? `...@${word.slice(at + 1)}` : word
}
