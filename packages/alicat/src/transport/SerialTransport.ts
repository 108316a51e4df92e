/**
 * A serial port through the package `serialport`, which is loaded when the first port is opened. 8N1, no flow control.
 */
import { type SourceDependencyError, SourceOpenError } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import type { SerialPort } from "serialport"
import { toLoadError } from "./loadError.ts"
import { type OpenPort, portIo } from "./PortIo.ts"
import { throttled } from "./throttled.ts"
import type { OpenTransport } from "./Transport.ts"

/** Opens the port at `path`; the scope closes it. */
export const serialTransport = (path: string): OpenTransport =>
  Effect.fnUntraced(function*(handlers, baud) {
    const { SerialPort } = yield* loadSerialport(path)
    const port = yield* Effect.acquireRelease(
      Effect.catch(
        Effect.tryPromise((): Promise<OpenPort> => SerialPort.binding.open({ path, baudRate: baud })),
        ({ cause }) => toOpenError(SerialPort, path, cause instanceof Error ? cause : new Error(String(cause)))
      ),
      (port) =>
        Effect.suspend(() => port.isOpen ? Effect.tryPromise(() => port.close()) : Effect.void).pipe(
          Effect.ignore,
          Effect.timeoutOption("1 second")
        )
    )
    // When the port is gone, its calls never come back.
    const underWay = new Set<(cause: Error) => void>()
    let isLost = false
    const onLost = (cause: Error) => {
      if (isLost) return
      isLost = true
      const tell = () => {
        for (const fail of underWay) fail(cause)
        handlers.onClose(cause)
      }
      void port.close().then(tell, tell)
    }
    const io = portIo(port, { onData: (chunk) => receive(chunk), onLost })
    const receive = throttled(io, handlers.onData)
    const call = (run: (done: (error: Error | null) => void) => void, told: (error: Error | null) => void) => {
      const done = (error: Error | null) => {
        if (underWay.delete(done)) told(error)
      }
      underWay.add(done)
      run(done)
      return () => void underWay.delete(done)
    }
    // Before the port is closed, so that its end is not taken for a loss.
    yield* Effect.addFinalizer(() => Effect.sync(() => isLost = true))
    return {
      write: (bytes, told) => call((done) => io.write(bytes, done), told),
      setBaud: (baudRate) =>
        Effect.callback<void, Error>((resume) =>
          Effect.sync(call(
            (done) => port.update({ baudRate }).then(() => done(null), done),
            (error) => resume(error === null ? Effect.void : Effect.fail(error))
          ))
        )
    }
  })

/** The serial ports of this machine. */
export const listPorts: Effect.Effect<ReadonlyArray<string>, SourceOpenError | SourceDependencyError> = Effect.flatMap(
  Effect.suspend(() => loadSerialport(null)),
  ({ SerialPort }) => portsOf(SerialPort)
)

const portsOf = (driver: typeof SerialPort): Effect.Effect<ReadonlyArray<string>> =>
  Effect.tryPromise(() => driver.list()).pipe(
    Effect.map((ports) => ports.map(({ path }) => path)),
    Effect.orElseSucceed(() => [])
  )

/** One name for a port, however it was written: a symlink is the port it leads to. */
export const canonicalPath = (path: string): string => {
  if (/^com\d+$/i.test(path)) return path.toUpperCase()
  return fs.existsSync(path) ? fs.realpathSync(path) : path
}

/** False if the port is a file that does not exist. */
export const portExists = (path: string): boolean => !path.startsWith("/") || fs.existsSync(path)

const loadSerialport = (path: string | null) =>
  Effect.tryPromise({
    try: () => import("serialport"),
    catch: (cause) =>
      toLoadError(cause, {
        target: path ?? "the serial ports",
        needed: path === null ? "listing the serial ports" : `the serial port ${path}`,
        missing: "serialport"
      })
  })

const toOpenError = (
  driver: typeof SerialPort,
  path: string,
  cause: Error
): Effect.Effect<never, SourceOpenError> => {
  const fail = (reason: SourceOpenError["reason"], detail: string) =>
    Effect.fail(new SourceOpenError({ target: path, reason, detail, cause }))
  if (/no such file|file not found|cannot find/i.test(cause.message)) {
    return Effect.flatMap(portsOf(driver), (ports) =>
      fail(
        "NotFound",
        `no such port; ${
          ports.length === 0
            ? "this machine has no serial port: is the adapter plugged in?"
            : `this machine has ${ports.join(", ")}`
        }`
      ))
  }
  if (/permission denied|access denied/i.test(cause.message)) {
    return fail(
      "PermissionDenied",
      "permission denied; on Linux, add yourself to the port's group (`sudo usermod -aG dialout $USER`) and log in again"
    )
  }
  if (/ioctl|is a directory|not a typewriter/i.test(cause.message)) {
    return fail("Unknown", "it is no serial port; give a path such as /dev/ttyUSB0 or COM3")
  }
  if (/cannot lock|busy/i.test(cause.message)) {
    return fail("Busy", "another program has it open; close that program first")
  }
  return fail("Unknown", cause.message)
}
