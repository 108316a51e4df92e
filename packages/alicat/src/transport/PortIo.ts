/**
 * Reading and writing an open serial port, outside of any fiber.
 *
 * On POSIX systems this is done on the port's descriptor, which never blocks: write at once, read when the poller says that bytes are there.
 * The driver's own calls go through the thread pool for each write, and twice for each read: that took a third of a recording's
 * processor time and most of its wake-ups. On Windows the driver's calls are used.
 */
import * as fs from "node:fs"
import type { SerialPort } from "serialport"

/** What the driver has opened. */
export type OpenPort = Awaited<ReturnType<(typeof SerialPort)["binding"]["open"]>>
type PosixPort = Extract<OpenPort, { readonly poller: unknown }>

type Done = (error: Error | null) => void

export interface PortIo {
  /** Hands bytes to the port, behind those that still wait. */
  readonly write: (bytes: Uint8Array, done: Done) => void
  readonly pause: () => void
  readonly resume: () => void
}

interface Handlers {
  /** The chunk belongs to the receiver. */
  readonly onData: (chunk: Uint8Array) => void
  /** The port can no longer be read or written. May be called more than once. */
  readonly onLost: (error: Error) => void
}

/** Begins to read. */
export const portIo = (port: OpenPort, handlers: Handlers): PortIo =>
  "poller" in port ? posixIo(port, handlers) : driverIo(port, handlers)

/** More than a serial line carries between two turns of the event loop. */
const CHUNK = 65_536

const posixIo = (port: PosixPort, { onData, onLost }: Handlers): PortIo => {
  const buffer = Buffer.allocUnsafe(CHUNK)
  const waiting: Array<{ readonly bytes: Uint8Array; readonly done: Done }> = []
  let isPaused = false

  const awaitBytes = () => {
    if (port.isOpen && !isPaused) port.poller.once("readable", readAll)
  }
  const readAll = (error: Error | null) => {
    if (!port.isOpen || isPaused) return
    if (error !== null) return onLost(error)
    try {
      const length = fs.readSync(port.fd!, buffer)
      // A terminal that has hung up has nothing more to say.
      if (length === 0) return onLost(new Error("the port has hung up"))
      onData(Uint8Array.prototype.slice.call(buffer, 0, length))
    } catch (error) {
      if (!isPassing(error)) return onLost(error as Error)
    }
    awaitBytes()
  }

  const awaitRoom = () => port.poller.once("writable", writeWaiting)
  const writeWaiting = (error: Error | null) => {
    if (!port.isOpen) return
    if (error !== null) return onLost(error)
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const rest = writeSome(next.bytes)
      if (rest instanceof Error) {
        next.done(rest)
        return onLost(rest)
      }
      if (rest.length > 0) {
        waiting.unshift({ ...next, bytes: rest })
        return void awaitRoom()
      }
      next.done(null)
    }
  }
  /** What did not fit, or why nothing can be written. */
  const writeSome = (bytes: Uint8Array): Uint8Array | Error => {
    try {
      return bytes.subarray(fs.writeSync(port.fd!, bytes))
    } catch (error) {
      return isPassing(error) ? bytes : error as Error
    }
  }

  awaitBytes()
  return {
    write: (bytes, done) => {
      if (!port.isOpen) return done(new Error("the port is closed"))
      waiting.push({ bytes, done })
      if (waiting.length === 1) writeWaiting(null)
    },
    pause: () => {
      isPaused = true
    },
    resume: () => {
      if (!isPaused) return
      isPaused = false
      awaitBytes()
    }
  }
}

const isPassing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && ["EAGAIN", "EWOULDBLOCK", "EINTR"].includes(String(error.code))

const driverIo = (port: OpenPort, { onData, onLost }: Handlers): PortIo => {
  const buffer = Buffer.allocUnsafe(CHUNK)
  let isPaused = false
  let isReading = false
  const read = () => {
    if (isPaused || isReading || !port.isOpen) return
    isReading = true
    port.read(buffer, 0, CHUNK).then(({ bytesRead }) => {
      isReading = false
      onData(Uint8Array.prototype.slice.call(buffer, 0, bytesRead))
      read()
    }, (error: Error) => {
      isReading = false
      if (port.isOpen) onLost(error)
    })
  }
  let last: Promise<void> = Promise.resolve()
  read()
  return {
    write: (bytes, done) => {
      last = last.then(() => port.write(Buffer.from(bytes))).then(() => done(null), (error: Error) => {
        done(error)
        onLost(error)
      })
    },
    pause: () => {
      isPaused = true
    },
    resume: () => {
      isPaused = false
      read()
    }
  }
}
