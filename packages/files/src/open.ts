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
  const { open } = yield* Effect.tryPromise({ try: format.load, catch: readError(place) })
  return yield* open(place, options)
})

const unknownFormat = (place: string): ReadError => {
  const isThere = fs.existsSync(place)
  const name = JSON.stringify(path.basename(place))
  return new ReadError({
    place,
    reason: isThere ? "NotARecording" : "NotFound",
    detail: isThere
      ? `its name ${name} does not tell its format; what can be read: ${FORMATS.map(({ places }) => places).join(", ")}`
      : "there is no such file; check its name"
  })
}
