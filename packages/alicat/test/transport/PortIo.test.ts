import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schedule } from "effect"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as tty from "node:tty"
import { serialTransport } from "../../src/transport/SerialTransport.ts"

/** A pty whose near end is read only when the test says so. */
const heldPty = Effect.acquireRelease(
  Effect.sync(() => {
    const binding = createRequire(import.meta.url)("@lydell/node-pty/requireBinary.js").requireBinary("pty.node")
    const { master, pty, slave } = binding.open(80, 24) as { master: number; slave: number; pty: string }
    const farEnd = new tty.ReadStream(slave)
    farEnd.setRawMode(true)
    let isOpen = true
    return {
      path: pty,
      master,
      hangUp: () => {
        if (!isOpen) return
        isOpen = false
        farEnd.destroy()
        fs.closeSync(master)
      },
      /** What waits to be read; empty if nothing does. */
      read: (): Buffer => {
        const buffer = Buffer.alloc(65_536)
        try {
          return buffer.subarray(0, fs.readSync(master, buffer))
        } catch {
          return Buffer.alloc(0)
        }
      }
    }
  }),
  ({ hangUp }) => Effect.sync(hangUp)
)

const opened = Effect.fnUntraced(function*(path: string) {
  const lost = yield* Deferred.make<Error | null>()
  const chunks: Array<Uint8Array> = []
  const transport = yield* serialTransport(path)({
    onData: (chunk) => chunks.push(chunk),
    onClose: (cause) => Deferred.doneUnsafe(lost, Effect.succeed(cause))
  }, 19_200)
  const write = (bytes: Uint8Array) =>
    Effect.callback<void, Error>((resume) => {
      transport.write(bytes, (error) => resume(error === null ? Effect.void : Effect.fail(error)))
    })
  return { write, chunks, lost: Deferred.await(lost) }
})

const soon = <A, E>(effect: Effect.Effect<A, E>) =>
  effect.pipe(Effect.retry(Schedule.spaced("5 millis")), Effect.timeout("10 seconds"))

describe("an open serial port", () => {
  it.live("keeps the bytes that its full buffer does not take, in their order, until there is room", () =>
    Effect.gen(function*() {
      const pty = yield* heldPty
      const { write } = yield* opened(pty.path)
      const first = Buffer.from(Array.from({ length: 20_000 }, (_, n) => n % 251))
      const second = Buffer.from("A\r")
      const writing = yield* Effect.forkChild(
        Effect.all([write(first), write(second)], { concurrency: 2 }),
        { startImmediately: true }
      )
      yield* Effect.sleep("50 millis")
      assert.isUndefined(writing.pollUnsafe())
      const received: Array<Buffer> = []
      const length = () => received.reduce((sum, { length }) => sum + length, 0)
      yield* soon(Effect.suspend(() => {
        received.push(pty.read())
        return length() < first.length + second.length ? Effect.fail("more to come") : Effect.void
      }))
      yield* Fiber.join(writing)
      assert.isTrue(Buffer.concat(received).equals(Buffer.concat([first, second])))
    }).pipe(Effect.scoped))

  it.live("gives what comes, in its order, and each chunk for good", () =>
    Effect.gen(function*() {
      const pty = yield* heldPty
      const { chunks } = yield* opened(pty.path)
      let sent = ""
      for (let n = 0; n < 50; n++) {
        const line = `A +${n}.00 +25.0\r`
        fs.writeSync(pty.master, line)
        sent += line
        if (n % 7 === 0) yield* Effect.sleep("1 millis")
      }
      const received = () => Buffer.concat(chunks).toString()
      yield* soon(Effect.suspend(() => received().length < sent.length ? Effect.fail("more to come") : Effect.void))
      assert.strictEqual(received(), sent)
    }).pipe(Effect.scoped))

  it.live("tells once that it is gone, and fails what is under way and what comes later", () =>
    Effect.gen(function*() {
      const pty = yield* heldPty
      const { lost, write } = yield* opened(pty.path)
      const writing = yield* Effect.forkChild(Effect.flip(write(Buffer.alloc(20_000))), {
        startImmediately: true
      })
      pty.hangUp()
      assert.instanceOf(yield* Effect.timeout(lost, "5 seconds"), Error)
      assert.instanceOf(yield* Effect.timeout(Fiber.join(writing), "5 seconds"), Error)
      assert.instanceOf(yield* Effect.timeout(Effect.flip(write(Buffer.from("A\r"))), "5 seconds"), Error)
    }).pipe(Effect.scoped))

  it.live("is no loss when its scope closes", () =>
    Effect.gen(function*() {
      const pty = yield* heldPty
      const { lost } = yield* Effect.scoped(opened(pty.path))
      const outcome = yield* Effect.timeoutOption(lost, "100 millis")
      assert.strictEqual(outcome._tag, "None")
      // It can be opened again at once.
      yield* Effect.scoped(opened(pty.path))
    }).pipe(Effect.scoped))
})
