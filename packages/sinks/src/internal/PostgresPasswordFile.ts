/**
 * The user's password file, as libpq reads it: `PGPASSFILE`, which is `~/.pgpass` by default. Each line is
 * `host:port:database:user:password`. A field may be `*`. The first line that matches counts. A backslash stands before a colon
 * or a backslash in a field.
 */
import { Effect } from "effect"
import * as fs from "node:fs"
import { userFile } from "./userFile.ts"

export interface PasswordKey {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
}

/** Undefined if no line matches. A file that others may read is not read. */
export const passwordInFile = Effect.fnUntraced(
  function*({ database, host, port, user }: PasswordKey): Effect.fn.Return<string | undefined> {
    const file = process.env["PGPASSFILE"] || userFile(".pgpass", "pgpass.conf")
    const key = [host, String(port), database, user]
    for (const line of (yield* privateText(file)).split(/\r?\n/)) {
      const [, ...fields] = LINE.exec(line) ?? []
      const password = fields.pop()
      if (password === undefined || line.startsWith("#")) continue
      if (fields.every((field, at) => field === "*" || unescaped(field) === key[at])) return unescaped(password)
    }
    return undefined
  }
)

/** Four fields and the password. A colon ends a field, if there is no backslash before it. */
const LINE = /^((?:\\.|[^\\:])*):((?:\\.|[^\\:])*):((?:\\.|[^\\:])*):((?:\\.|[^\\:])*):(.*)$/s

const unescaped = (field: string): string => field.replaceAll(/\\(.)/gs, "$1")

/** The text of a file that only its owner may read; empty, with a warning, if it cannot be used. */
const privateText = (file: string): Effect.Effect<string> =>
  Effect.try({
    try: () => {
      const stats = fs.statSync(file, { throwIfNoEntry: false })
      if (stats === undefined) return ""
      if (!stats.isFile()) throw new Error("it is not a plain file")
      if (process.platform !== "win32" && (stats.mode & 0o077) !== 0) {
        throw new Error(`others may read it too: run chmod 600 ${file}`)
      }
      return fs.readFileSync(file, "utf8")
    },
    catch: (cause) => cause instanceof Error ? cause.message : String(cause)
  }).pipe(
    Effect.catch((reason) =>
      Effect.as(Effect.logWarning(`the password file ${file} is not read, because ${reason}`), "")
    )
  )
