/**
 * A text file of whole records, opened once and written to for hours.
 *
 * A batch is handed to the operating system by one `write` at a known offset, synchronously: for ordinary files that is
 * several times faster than a trip through the thread pool. A batch that does not fit is cut off again, so the file always
 * ends with what was accepted last. Nothing in an existing file is touched before the first batch.
 */
import { SinkOpenError } from "@sampleline/core"
import { Effect, Exit, type Scope } from "effect"
import * as fs from "node:fs"
import { type ByteOutput, messageOf, toOpenError, toWriteError, type Writer } from "./ByteOutput.ts"
import { checkParents, type FileMode, makeParents, neverBegan } from "./files.ts"
import { openPipe } from "./Pipe.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface TextFileOptions {
  readonly path: string
  /** Default: `create`, which fails if the file exists. */
  readonly mode?: FileMode | undefined
  /**
   * When the file is forced to disk, so that it survives a power cut: `never` leaves it to the operating system, `interval`
   * does it once a second, `always` before a batch is accepted. Default: `never`.
   */
  readonly fsync?: "never" | "interval" | "always" | undefined
}

/** What the file holds up to the end of its last complete record. */
export interface Content {
  readonly bytes: number
}

/** Reads the content of an existing file to which is to be appended; refuses what is not the sink's own. */
export type Inspect<C extends Content> = (fd: number, size: number) => Effect.Effect<C, string>

export interface TextFile<C extends Content> extends ByteOutput {
  /** Whether it is an ordinary file; a pipe has nothing beside it. */
  readonly isFile: boolean
  /** What an existing file holds to which is to be appended; null for a new or replaced file. */
  readonly content: C | null
}

const FSYNC_INTERVAL = "1 second"

/** Opens the file; the scope closes it. */
export const openTextFile = Effect.fnUntraced(function*<C extends Content>(
  writer: Writer,
  options: TextFileOptions,
  inspect: Inspect<C>
): Effect.fn.Return<TextFile<C>, SinkOpenError, Scope.Scope> {
  const { mode = "create", fsync = "never" } = options
  const attempt = <A>(run: () => A) => Effect.try({ try: run, catch: (cause) => toOpenError(writer, cause) })

  const stats = yield* attempt(() => fs.statSync(options.path, { throwIfNoEntry: false }))
  if (stats?.isDirectory()) return yield* toOpenError(writer, { code: "EISDIR" })
  if (stats !== undefined && !stats.isFile()) {
    return { content: null, isFile: false, ...(yield* openPipe(writer, options.path)) }
  }
  yield* attempt(() => makeParents(options.path))
  const file = yield* Effect.acquireRelease(
    attempt(() => ({ fd: fs.openSync(options.path, openFlags[mode], 0o666), state: { end: -1 } })),
    ({ fd, state }, exit) => closing(writer, options.path, mode, stats === undefined, fd, state, exit)
  )
  const { fd, state } = file
  const content = mode === "append" && stats !== undefined ? yield* inspectFor(writer, fd, stats.size, inspect) : null
  if (content !== null && content.bytes < stats!.size) {
    yield* Effect.logWarning(
      `${writer.sink} ${writer.target}: its last ${
        stats!.size - content.bytes
      } bytes are no complete record and will be cut off`
    )
  }

  const sync = Effect.callback<void, NodeJS.ErrnoException>((resume) => {
    fs.fdatasync(fd, (error) => resume(error ? Effect.fail(error) : Effect.void))
  })
  const complain = (error: Error) =>
    Effect.logError(`${writer.sink} ${writer.target} could not be forced to disk: ${error.message}`)
  let unsynced = false
  if (fsync === "interval") {
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(
      Effect.sleep(FSYNC_INTERVAL),
      Effect.suspend(() => {
        if (!unsynced) return Effect.void
        unsynced = false
        return Effect.catch(sync, complain)
      })
    )))
  }
  if (fsync !== "never") {
    yield* Effect.addFinalizer(() => Effect.catch(sync, complain))
  }

  const write = (bytes: Uint8Array) => {
    const isFirst = state.end < 0
    const expected = isFirst ? stats?.size ?? 0 : state.end
    if (fs.fstatSync(fd).size !== expected && !(isFirst && mode === "overwrite")) {
      throw new Error("another program has written to it meanwhile; record to a file that no one else writes to")
    }
    if (isFirst) {
      state.end = content?.bytes ?? 0
      fs.ftruncateSync(fd, state.end)
    }
    let written = 0
    try {
      while (written < bytes.length) {
        written += fs.writeSync(fd, bytes, written, bytes.length - written, state.end + written)
      }
    } catch (error) {
      fs.ftruncateSync(fd, state.end)
      throw error
    }
    state.end += written
    unsynced = true
    return written
  }

  return {
    content,
    isFile: true,
    lost: () => undefined,
    write: (encode, samples) => {
      const written = Effect.try({ try: () => write(encode()), catch: (cause) => toWriteError(writer, samples, cause) })
      return fsync === "always"
        ? Effect.flatMap(written, (bytes) =>
          Effect.mapError(sync, (cause) => {
            state.end -= bytes
            fs.ftruncateSync(fd, state.end)
            return toWriteError(writer, samples, cause)
          }))
        : Effect.asVoid(written)
    }
  }
})

/**
 * What opening would refuse, found out without touching anything; gives the content of a file to which would be appended.
 */
export const checkTextFile = Effect.fnUntraced(function*<C extends Content>(
  writer: Writer,
  options: TextFileOptions,
  inspect: Inspect<C>
): Effect.fn.Return<C | null, SinkOpenError> {
  const { mode = "create" } = options
  const attempt = <A>(run: () => A) => Effect.try({ try: run, catch: (cause) => toOpenError(writer, cause) })

  const stats = yield* attempt(() => fs.statSync(options.path, { throwIfNoEntry: false }))
  if (stats === undefined) {
    yield* attempt(() => checkParents(options.path))
    return null
  }
  if (stats.isDirectory()) return yield* toOpenError(writer, { code: "EISDIR" })
  if (!stats.isFile()) return null
  if (mode === "create") return yield* toOpenError(writer, { code: "EEXIST" })
  yield* attempt(() => fs.accessSync(options.path, fs.constants.W_OK | fs.constants.R_OK))
  if (mode === "overwrite") return null
  return yield* Effect.acquireUseRelease(
    attempt(() => fs.openSync(options.path, "r")),
    (fd) => inspectFor(writer, fd, stats.size, inspect),
    (fd) => Effect.sync(() => fs.closeSync(fd))
  )
})

const openFlags: { readonly [mode in FileMode]: number } = {
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
  overwrite: fs.constants.O_RDWR | fs.constants.O_CREAT,
  append: fs.constants.O_RDWR | fs.constants.O_CREAT
}

const inspectFor = <C extends Content>(writer: Writer, fd: number, size: number, inspect: Inspect<C>) =>
  Effect.mapError(
    Effect.catchDefect(
      inspect(fd, size),
      (cause) => Effect.fail(messageOf(cause))
    ),
    (found) =>
      new SinkOpenError({
        ...writer,
        reason: "Foreign",
        detail: `${found}; it is left as it is. Repair it, or record to another file`
      })
  )

/** Closes the file. When the run never began because an output could not be opened, no new file stays behind. */
const closing = (
  { sink, target }: Writer,
  file: string,
  mode: FileMode,
  isNew: boolean,
  fd: number,
  state: { end: number },
  exit: Exit.Exit<unknown, unknown>
) =>
  Effect.try(() => {
    const untouched = state.end < 0
    if (untouched && mode === "overwrite" && Exit.isSuccess(exit)) fs.ftruncateSync(fd, 0)
    fs.closeSync(fd)
    if (untouched && isNew && neverBegan(exit)) fs.unlinkSync(file)
  }).pipe(
    Effect.andThen(Effect.logInfo(`${sink} closed ${target}`)),
    Effect.catch((error) => Effect.logError(`${sink} could not close ${target}: ${String(error.cause)}`))
  )

/** The file's bytes up to `size`, in chunks: the chunk and the offset of its first byte. */
export function* chunksOf(fd: number, size: number): Generator<readonly [Buffer, number]> {
  const buffer = Buffer.allocUnsafe(1 << 20)
  for (let offset = 0; offset < size;) {
    const read = fs.readSync(fd, buffer, 0, Math.min(buffer.length, size - offset), offset)
    if (read === 0) return
    yield [buffer.subarray(0, read), offset]
    offset += read
  }
}
