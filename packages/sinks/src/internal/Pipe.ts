/**
 * Pipes, terminals and other outputs that are not regular files, such as standard output.
 *
 * They are written without blocking, so a stalled reader delays neither the instruments nor Ctrl-C. Accepted means: in
 * memory, on its way to the reader. `LIMIT_BYTES` bounds that memory. At the limit a write waits for the reader, or fails if
 * other outputs would have to wait too.
 */
import { SinkWriteError } from "@sampleline/core"
import { Duration, Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import type { Writable } from "node:stream"
import * as tty from "node:tty"
import type { ByteOutput } from "./ByteOutput.ts"
import { fileOpenError, fileWriteError, type Writer } from "./FileFailure.ts"

/** What happens when the reader has stalled and the memory for it is full. */
export type WhenStalled = "wait" | "fail"

const LIMIT_BYTES: { readonly [when in WhenStalled]: number } = { wait: 1 << 20, fail: 16 << 20 }

/** How long a reader may take to read the rest when the sink closes. */
const CLOSE_TIMEOUT = Duration.seconds(5)

/** Opens a pipe or device by its path. */
export const openPipe = Effect.fnUntraced(function*(writer: Writer, path: string) {
  const fd = yield* Effect.try({
    try: () => fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK),
    catch: (cause) => fileOpenError(writer, cause)
  })
  return yield* writeTo(writer, streamOf(fd, true), "wait")
})

/** Standard output. It is not closed. */
export const openStdout = (writer: Writer, whenStalled: WhenStalled) =>
  Effect.suspend(() => writeTo(writer, streamOf(1, false), whenStalled))

const streamOf = (fd: number, autoClose: boolean): Writable => {
  const stats = fs.fstatSync(fd)
  if (tty.isatty(fd)) return new tty.WriteStream(fd)
  return stats.isFIFO() || stats.isSocket()
    ? new net.Socket({ fd, readable: false, writable: true })
    : fs.createWriteStream("", { fd, autoClose })
}

const writeTo = Effect.fnUntraced(function*(
  writer: Writer,
  stream: Writable,
  whenStalled: WhenStalled
): Effect.fn.Return<ByteOutput, never, Scope.Scope> {
  let broken: Error | undefined
  let closed = false
  let hasBegun = false
  let unread = 0
  stream.on("error", (error) => broken = error)

  const flushed = Effect.callback<void>((resume) => {
    if (broken !== undefined || unread === 0) return resume(Effect.void)
    const look = () => {
      if (broken !== undefined || unread === 0) resume(Effect.void)
    }
    stream.on("error", look)
    stream.on("taken", look)
    return Effect.sync(() => {
      stream.off("error", look)
      stream.off("taken", look)
    })
  })

  const lost = (): SinkWriteError | undefined => {
    if (unread === 0 || (broken === undefined && !closed)) return undefined
    return broken !== undefined ? fileWriteError(writer, unread, broken) : new SinkWriteError({
      ...writer,
      samples: unread,
      reason: "Timeout",
      detail: `its reader did not read them within ${Duration.format(CLOSE_TIMEOUT)}`
    })
  }

  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      yield* Effect.timeoutOption(flushed, CLOSE_TIMEOUT)
      closed = true
      stream.destroy()
      const error = lost()
      if (error !== undefined) return yield* Effect.die(error)
    })
  )

  return {
    began: () => {},
    event: () => Effect.void,
    lost,
    write: Effect.fnUntraced(function*(encode, samples) {
      if (broken !== undefined) return yield* fileWriteError(writer, samples, broken)
      if (stream.writableLength > LIMIT_BYTES[whenStalled]) {
        if (whenStalled === "fail") {
          return yield* new SinkWriteError({
            ...writer,
            samples,
            reason: "Timeout",
            detail: "its reader has stalled, and the memory for it is full"
          })
        }
        yield* flushed
        if (broken !== undefined) return yield* fileWriteError(writer, samples, broken)
      }
      unread += samples
      stream.write(Buffer.from(encode(!hasBegun)), (error) => {
        if (error || closed) return
        unread -= samples
        stream.emit("taken")
      })
      hasBegun = true
      return null
    })
  }
})
