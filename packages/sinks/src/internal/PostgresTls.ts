/**
 * How connections to a Postgres server are encrypted: the modes of libpq's `sslmode`, with the same files.
 *
 * Three things differ from libpq. `verify-full` without a root certificate trusts the authorities that Node trusts. `prefer` and
 * `allow` are decided when the sink opens, not at each connection. And they never verify: a plain connection would be next.
 */
import { InvalidOptionError } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import type { ConnectionOptions } from "node:tls"
import { userFile } from "./userFile.ts"

/** False is plain text. */
export type Encryption = boolean | ConnectionOptions

/** What to try, in this order. */
export type Encryptions = readonly [Encryption, Encryption?]

export interface TlsSettings {
  /** Default: `prefer`; with the root certificate `system`, `verify-full`. */
  readonly sslmode?: string | undefined
  /** A file of certificates, or `system`. Default: `~/.postgresql/root.crt`, if it exists. */
  readonly sslrootcert?: string | undefined
  /** Default: `~/.postgresql/postgresql.crt`, if it exists. */
  readonly sslcert?: string | undefined
  /** Default: `~/.postgresql/postgresql.key`, if it exists. */
  readonly sslkey?: string | undefined
}

const MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const

export const encryptionsOf = Effect.fnUntraced(
  function*({ sslcert, sslkey, sslmode, sslrootcert }: TlsSettings): Effect.fn.Return<Encryptions, InvalidOptionError> {
    const isSystem = sslrootcert === "system"
    const mode = sslmode ?? (isSystem ? "verify-full" : "prefer")
    if (mode === "disable") return [false]
    if (isSystem && mode !== "verify-full") {
      return yield* InvalidOptionError.of("sslmode", mode, "verify-full, with sslrootcert=system")
    }
    const ca = isSystem ? undefined : yield* fileOf("sslrootcert", sslrootcert, "root.crt", (ca) => ({ ca }))
    const cert = yield* fileOf("sslcert", sslcert, "postgresql.crt", (cert) => ({ cert }))
    const key = yield* fileOf("sslkey", sslkey, "postgresql.key", (key) => ({ cert, key }))
    const client = { cert, key }
    const unverified = { ...client, rejectUnauthorized: false }
    const byAuthority = { ...client, ca, rejectUnauthorized: true, checkServerIdentity: () => undefined }
    switch (mode) {
      case "allow":
        return [false, unverified]
      case "prefer":
        return [unverified, false]
      case "require":
        return [ca === undefined ? unverified : byAuthority]
      case "verify-ca":
        // The public authorities certify every server: without its name that proves nothing.
        return ca === undefined
          ? yield* InvalidOptionError.of("sslmode", mode, "a file sslrootcert beside verify-ca, or verify-full")
          : [byAuthority]
      case "verify-full":
        return [{ ...client, ca, rejectUnauthorized: true }]
      default:
        return yield* InvalidOptionError.of("sslmode", mode, `one of ${MODES.join(", ")}`)
    }
  }
)

/** The text of a file, or of the user's own file of this name if there is one. OpenSSL must understand it. */
const fileOf = Effect.fnUntraced(function*(
  option: string,
  given: string | undefined,
  name: string,
  use: (text: string) => ConnectionOptions
) {
  const path = given ?? userFile(`.postgresql/${name}`, name)
  if (given === undefined && !fs.existsSync(path)) return undefined
  const { createSecureContext } = yield* Effect.promise(() => import("node:tls"))
  return yield* Effect.try({
    try: () => {
      const text = fs.readFileSync(path, "utf8")
      createSecureContext(use(text))
      return text
    },
    catch: () => InvalidOptionError.of(option, path, "a file in PEM that can be read, without a passphrase")
  })
})
