/**
 * How large the files of a recording are, and how much room their disks have. A disk that hangs holds up nothing but these numbers.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"

export interface FileSize {
  /** Null: not known, these two. */
  readonly bytes: number | null
  readonly freeBytes: number | null
}

const UNKNOWN: FileSize = { bytes: null, freeBytes: null }
const INTERVAL = "2 seconds"

export class OutputSizes {
  private readonly sizes = new Map<string, FileSize>()

  /** Of a file or a folder, as it was found last. */
  of(place: string): FileSize {
    return this.sizes.get(place) ?? UNKNOWN
  }

  /** Looks at the places now and then, forever. */
  watch(places: () => ReadonlyArray<string>): Effect.Effect<never> {
    const lookAt = (place: string) =>
      Effect.map(
        Effect.all([attempt(() => bytesOf(place)), attempt(() => freeBytesAt(place))]),
        ([bytes, freeBytes]) => this.sizes.set(place, { bytes, freeBytes })
      )
    return Effect.suspend(() => Effect.forEach(places(), lookAt, { discard: true })).pipe(
      Effect.andThen(Effect.sleep(INTERVAL)),
      Effect.forever
    )
  }
}

const attempt = (look: () => Promise<number>): Effect.Effect<number | null> =>
  Effect.orElseSucceed(Effect.tryPromise(look), () => null)

/** An unfinished Parquet file has another name. */
const bytesOf = (place: string): Promise<number> =>
  fs.stat(place).catch(() => fs.stat(`${place}.partial`)).then((stats) =>
    stats.isDirectory() ? bytesIn(place) : stats.size
  )

const bytesIn = (folder: string): Promise<number> =>
  fs.readdir(folder)
    .then((names) =>
      Promise.all(names.map((name) => fs.stat(path.join(folder, name)).then(({ size }) => size, () => 0)))
    )
    .then((sizes) => sizes.reduce((sum, size) => sum + size, 0))

const freeBytesAt = (place: string): Promise<number> =>
  fs.statfs(path.dirname(place)).then(({ bavail, bsize }) => bavail * bsize)
