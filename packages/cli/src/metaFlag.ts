/**
 * `--meta KEY=TEXT` and `--note TEXT`: what a user says of a run.
 */
import { checkMetadata, type RunMetadata } from "@sampleline/core"
import * as Effect from "effect/Effect"
import { UsageError } from "./errors.ts"

/** The keys and texts of all flags. */
export const parseMeta = Effect.fnUntraced(function*(
  flags: ReadonlyArray<string>
): Effect.fn.Return<RunMetadata, UsageError> {
  const metadata = new Map<string, string>()
  for (const flag of flags) {
    const at = flag.indexOf("=")
    const [key, text] = [flag.slice(0, at), flag.slice(at + 1)]
    if (at < 1) return yield* new UsageError({ message: `--meta ${flag}: write KEY=TEXT, such as operator=Ada` })
    if (metadata.has(key)) {
      return yield* new UsageError({ message: `--meta: ${key} is given twice; give each key once` })
    }
    metadata.set(key, text)
  }
  return Object.fromEntries(metadata)
})

/** Refuses what cannot be kept. `note` is kept as `notes`. */
export const metadataOf = Effect.fnUntraced(function*(
  meta: RunMetadata,
  note: string | undefined
): Effect.fn.Return<RunMetadata, UsageError> {
  if (note !== undefined && "notes" in meta) {
    return yield* new UsageError({ message: "--note and --meta notes=... are the same; give one of them" })
  }
  return yield* Effect.mapError(
    checkMetadata(note === undefined ? meta : { ...meta, notes: note }),
    ({ expected, value }) => new UsageError({ message: `--meta ${value}: expected ${expected}` })
  )
})
