/**
 * The secret that opens a page from another machine.
 */
import { Redacted } from "effect"
import { randomBytes } from "node:crypto"

/** 128 bits that nobody guesses. */
export const newToken = (): string => randomBytes(16).toString("base64url")

/** The address with the token, behind the `#`: a browser does not send that part, and no server logs it. Null: none is needed. */
export const withToken = (url: string, token: string | null): Redacted.Redacted | null =>
  token === null ? null : Redacted.make(`${url}#token=${token}`)
