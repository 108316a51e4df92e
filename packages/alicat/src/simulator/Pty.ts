/**
 * A pseudo-terminal: a path that any serial program can open, and the other end of it. The native binding comes from the package
 * `@lydell/node-pty`, which is loaded when the first pty is opened.
 *
 * Only `open` of the binding is used. The package's terminal class reads the far end, so that commands get lost. The far end is
 * held open here but never read: this keeps the pty alive and raw while no program has it open.
 */
import { messageOf, type SourceDependencyError, SourceOpenError } from "@sampleline/core"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as tty from "node:tty"
import { toLoadError } from "../transport/loadError.ts"

/**
 * The near end of a pseudo-terminal.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pty {
  /** The path that a serial program opens. */
  readonly path: string
  readonly write: (bytes: Uint8Array) => void
  /** The baud rate that the serial program has set; null if it cannot be read. Starts `stty`, which takes some milliseconds. */
  readonly baud: () => number | null
}

interface NativePty {
  readonly open: (
    columns: number,
    rows: number
  ) => { readonly master: number; readonly slave: number; readonly pty: string }
}

/** How soon a write to a full pty is tried again. */
const RETRY_MS = 5

/**
 * Opens a pty. Calls `onData` with the bytes that are written to its path. The scope closes it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const openPty = Effect.fnUntraced(function*(onData: (chunk: Uint8Array) => void) {
  const native = yield* loadNative
  return yield* Effect.acquireRelease(
    Effect.try({
      try: () => open(native, onData),
      catch: (cause) =>
        new SourceOpenError({
          target: "a pseudo-terminal",
          reason: "Unknown",
          detail: messageOf(cause),
          cause
        })
    }),
    (pty) => Effect.sync(pty.close)
  )
})

const loadNative: Effect.Effect<NativePty, SourceOpenError | SourceDependencyError> = Effect.try({
  try: () => createRequire(import.meta.url)("@lydell/node-pty/requireBinary.js").requireBinary("pty.node") as NativePty,
  catch: (cause) =>
    toLoadError(cause, {
      target: "a pseudo-terminal",
      needed: "a pseudo-terminal for a simulated device",
      missing: "@lydell/node-pty"
    })
})

const open = (native: NativePty, onData: (chunk: Uint8Array) => void): Pty & { readonly close: () => void } => {
  const { master, pty, slave } = native.open(80, 24)
  const reader = new tty.ReadStream(master)
  const farEnd = new tty.ReadStream(slave)
  farEnd.setRawMode(true)
  reader.on("data", onData)
  // Reading fails when the pty is closed.
  reader.on("error", () => {})
  farEnd.on("error", () => {})

  const queue: Array<Uint8Array> = []
  let closed = false
  const flush = () => {
    const next = queue[0]
    if (next === undefined || closed) return
    fs.write(master, next, (error, written) => {
      if (closed) return
      if (error && error.code !== "EAGAIN") queue.length = 0
      else if (written === next.length) queue.shift()
      else queue[0] = next.subarray(written ?? 0)
      if (error?.code === "EAGAIN") setTimeout(flush, RETRY_MS)
      else flush()
    })
  }
  return {
    path: pty,
    write: (bytes) => {
      queue.push(bytes)
      if (queue.length === 1) flush()
    },
    baud: () => {
      const { stdout } = spawnSync("stty", ["speed"], { stdio: [master, "pipe", "ignore"], encoding: "latin1" })
      return /^\d+$/.test(stdout?.trim() ?? "") ? Number(stdout) : null
    },
    close: () => {
      closed = true
      reader.destroy()
      farEnd.destroy()
    }
  }
}
