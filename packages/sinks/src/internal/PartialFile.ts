/**
 * A Parquet file while it is recorded: `<name>.partial`, which gets its name when it is complete.
 */
import { SinkOpenError } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { fileOpenError, type Writer } from "./FileFailure.ts"
import { checkParents, type FileMode, followLinks, isAt, makeParents } from "./OutputFile.ts"

export interface PartialSettings {
  readonly path: string
  readonly mode: Exclude<FileMode, "append">
}

export const partialOf = (path: string): string => `${path}.partial`

export interface PartialFile {
  readonly fd: number
  /** Another file on the same disk, for reserved room. It has no name, so it is gone when the process ends. */
  readonly reserve: number
}

/** Makes the unfinished file. Fails if that or the finished one exists. */
export const openPartial = Effect.fnUntraced(function*(
  writer: Writer,
  settings: PartialSettings
): Effect.fn.Return<PartialFile, SinkOpenError> {
  yield* refuseExisting(writer, settings)
  return yield* attempt(writer, () => {
    makeParents(settings.path)
    const fd = fs.openSync(partialOf(settings.path), "wx", 0o666)
    try {
      return { fd, reserve: openUnnamed(`${partialOf(settings.path)}.reserve`) }
    } catch (error) {
      discard(settings, fd)
      fs.closeSync(fd)
      throw error
    }
  })
})

const openUnnamed = (name: string): number => {
  const fd = fs.openSync(name, "w", 0o600)
  try {
    fs.unlinkSync(name)
    return fd
  } catch (error) {
    fs.closeSync(fd)
    throw error
  }
}

/** Fails as `openPartial` would, and changes nothing. */
export const checkPartial = (writer: Writer, settings: PartialSettings): Effect.Effect<void, SinkOpenError> =>
  Effect.andThen(refuseExisting(writer, settings), attempt(writer, () => checkParents(settings.path)))

const attempt = <A>(writer: Writer, run: () => A): Effect.Effect<A, SinkOpenError> =>
  Effect.try({ try: run, catch: (cause) => fileOpenError(writer, cause) })

const refuseExisting = Effect.fnUntraced(function*(
  writer: Writer,
  { mode, path }: PartialSettings
): Effect.fn.Return<void, SinkOpenError> {
  const refuse = (reason: SinkOpenError["reason"], detail: string) => new SinkOpenError({ ...writer, reason, detail })
  const stats = yield* attempt(writer, () => fs.lstatSync(path, { throwIfNoEntry: false }))
  if (stats?.isDirectory()) return yield* fileOpenError(writer, { code: "EISDIR" })
  if (stats !== undefined && !stats.isFile() && !stats.isSymbolicLink()) {
    return yield* refuse(
      "Unknown",
      "it is not a regular file, and Parquet needs one: it is complete only at the end. Record to a file"
    )
  }
  if (stats !== undefined && mode === "create") {
    return yield* refuse(
      "AlreadyExists",
      "it already exists, and a Parquet file cannot be added to; choose another name, "
        + "or use mode \"overwrite\" (--overwrite) to replace it"
    )
  }
  if (stats?.isSymbolicLink()) {
    const folder = yield* attempt(writer, () => nodePath.dirname(followLinks(path)))
    yield* attempt(writer, () => fs.accessSync(folder, fs.constants.W_OK))
    const isSameDisk = yield* attempt(writer, () => fs.statSync(folder).dev === fs.statSync(nodePath.dirname(path)).dev)
    if (!isSameDisk) {
      return yield* refuse("Unknown", "it is a link to another disk; give the name of the file there")
    }
  }
  if (yield* attempt(writer, () => fs.existsSync(partialOf(path)))) {
    return yield* refuse(
      "AlreadyExists",
      `${partialOf(path)} exists: its recording is still running, or was killed. `
        + "End it, remove that file, or choose another name"
    )
  }
})

/** Gives the complete file its name. Does not replace a file that another program has made. */
export const publish = ({ mode, path }: PartialSettings, fd: number): void => {
  if (!isAt(partialOf(path), fd)) throw new Error(`${partialOf(path)} was moved or removed`)
  if (mode === "create" && fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
    throw new Error("another program has made this file")
  }
  // Through a link, the file behind it is replaced.
  fs.renameSync(partialOf(path), followLinks(path))
}

/** Removes the unfinished file, unless its name now belongs to another file. */
export const discard = ({ path }: PartialSettings, fd: number): void => {
  if (isAt(partialOf(path), fd)) fs.rmSync(partialOf(path))
}
