/**
 * Opens what was recorded, in the format that its name tells.
 */
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { readError } from "./internal/failures.ts"
import { ReadError } from "./ReadError.ts"
import type { Recorded } from "./Recorded.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface OpenOptions {
  /** The table of a database. Default: `samples`. */
  readonly table?: string | undefined
  /** The schema of a table in Postgres. Default: `public`. */
  readonly schema?: string | undefined
}

/** Opens a place in one format. */
export type OpenFormat = (place: string, options: OpenOptions) => Effect.Effect<Recorded, ReadError, Scope.Scope>

interface Format {
  /** What its places look like, for people. */
  readonly places: string
  readonly isPlace: (place: string) => boolean
  /** Drivers are loaded when they are needed. */
  readonly load: () => Promise<{ readonly open: OpenFormat }>
}

const named = (...extensions: ReadonlyArray<string>) => ({
  places: extensions.join(", "),
  isPlace: (place: string) => extensions.some((extension) => place.toLowerCase().endsWith(extension))
})

const FORMATS: ReadonlyArray<Format> = [
  {
    places: "postgres://...",
    isPlace: (place) => /^postgres(?:ql)?:\/\//i.test(place),
    load: () => import("./Postgres.ts")
  },
  { ...named(".csv"), load: () => import("./Csv.ts") },
  { ...named(".jsonl"), load: () => import("./Jsonl.ts") },
  { ...named(".db", ".sqlite", ".sqlite3"), load: () => import("./Sqlite.ts") },
  { ...named(".parquet", ".parquet.partial"), load: () => import("./Parquet.ts") },
  {
    places: "the folder of a journal",
    isPlace: (place) => fs.existsSync(path.join(place, "journal.db")),
    load: () => import("./Journal.ts")
  }
]

/**
 * Opens a recording for reading: a file by its extension, a journal by its folder, a Postgres table by the server's address. The scope
 * closes it. Nothing is changed, and nothing keeps a recorder from writing on.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = Effect.fnUntraced(function*(
  place: string,
  options: OpenOptions = {}
): Effect.fn.Return<Recorded, ReadError, Scope.Scope> {
  const format = FORMATS.find(({ isPlace }) => isPlace(place))
  if (format === undefined) return yield* unknownFormat(place)
  const { open } = yield* Effect.tryPromise({ try: format.load, catch: readError(shown(place)) })
  return yield* open(place, options)
})

/** An address may hold a password. */
const shown = (place: string): string => place.replace(/:\/\/.*/s, "://...")

const unknownFormat = (place: string): ReadError => {
  const isThere = fs.existsSync(place)
  return new ReadError({
    place: shown(place),
    reason: isThere ? "NotARecording" : "NotFound",
    detail: isThere
      ? `its name does not tell its format; what can be read: ${FORMATS.map(({ places }) => places).join(", ")}`
      : "there is no such file; check its name"
  })
}
