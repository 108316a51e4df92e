import { MemorySink, pipeToSink, type PollSource, Recorder } from "@sampleline/core"
import { type Duration, Effect, Exit, Logger, Scope } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import * as Alicat from "../src/Alicat.ts"
import { openPty } from "../src/simulator/Pty.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import type { SimulatedPort } from "../src/simulator/Simulator.ts"
import { encodeCommand, LineSplitter } from "../src/wire/Framing.ts"

/** A real pty with a script that answers each command. Null is no answer. */
export const scriptedPort = (
  answer: (command: string) => string | null,
  respond: (command: string, write: (reply: string) => void, reply: string) => void = (_, write, reply) => write(reply)
) =>
  Effect.gen(function*() {
    const splitter = new LineSplitter()
    const commands: Array<string> = []
    const write = (text: string) => pty.write(encodeCommand(text))
    const pty = yield* openPty((chunk) => {
      for (const line of splitter.push(chunk)) {
        const command = String.fromCharCode(...line)
        commands.push(command)
        const reply = answer(command)
        if (reply !== null) respond(command, write, reply)
      }
    })
    return { path: pty.path, commands, write }
  })

/** Polls until the reasons of the failures are as expected. Gives the readings of that poll. */
export const pollUntil = Effect.fnUntraced(function*(
  source: PollSource["Service"],
  isSo: (reasons: ReadonlyArray<string>) => boolean
) {
  while (true) {
    const { failures, readings } = yield* source.poll(source.devices.map(({ name }) => name))
    if (isSo(failures.map(({ device, error }) => `${device} ${error.reason}`))) return readings
    yield* Effect.sleep("20 millis")
  }
})

/** A peer on TCP that sends these bytes without end, whatever it receives. */
export const talkingPeer = (bytes: string) =>
  Effect.gen(function*() {
    const received: Array<string> = []
    const server = net.createServer((socket) => {
      const talk = setInterval(() => socket.write(Buffer.from(bytes.repeat(1000), "latin1")), 5)
      socket.on("data", (chunk) => received.push(chunk.toString("latin1")))
      socket.on("error", () => {})
      socket.on("close", () => clearInterval(talk))
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () => Effect.sync(() => server.close())
    )
    return { port: `tcp://127.0.0.1:${(server.address() as net.AddressInfo).port}`, received }
  })

/** Makes a device on TCP stream, like a program that dies while the device streams. */
export const leaveStreaming = ({ port, unit }: SimulatedPort) =>
  Effect.callback<void>((resume) => {
    const socket = net.connect(Number(new URL(port).port), "127.0.0.1", () => socket.write(`${unit}@ @\r`))
    socket.once("data", () => {
      socket.destroy()
      resume(Effect.void)
    })
  })

/** The names of simulated devices, and where they are. */
export const devicesOf = (ports: ReadonlyArray<SimulatedPort>) =>
  Object.fromEntries(ports.map((port) => [port.name, port]))

/** The result, with what was logged at WARN and above. */
export const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn" || logLevel === "Error") lines.push([message].flat().join(" "))
  })
  return Effect.map(Effect.provide(effect, Logger.layer([logger])), (value) => ({ value, lines }))
}

/** Records this many ticks at 50 Hz. */
export const recorded = (
  devices: Alicat.AlicatOptions["devices"],
  ticks: number,
  timeout?: Duration.Input
) =>
  Effect.gen(function*() {
    const summary = yield* Recorder.record({ rateHz: 50, duration: `${ticks * 20} millis` }).pipe(pipeToSink())
    return { summary, samples: (yield* MemorySink).samples }
  }).pipe(Effect.provide([MemorySink.layer, Alicat.layer({ devices, timeout })]))

/** Why these devices cannot be opened. */
export const openError = (devices: Alicat.AlicatOptions["devices"], timeout?: Duration.Input) =>
  Effect.scoped(Effect.flip(Alicat.make({ devices, timeout })))

/** A device behind a link that stays when its port goes, like those in /dev/serial/by-id. */
export const pluggable = Effect.gen(function*() {
  const link = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "plug-")), "port")
  const plug = Effect.fnUntraced(function*(serialNumber: number) {
    const device = new SimulatedDevice({ serialNumber })
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const port = yield* scriptedPort((command) => device.respond(command, 0).join("\r") || null).pipe(
      Scope.provide(scope)
    )
    fs.rmSync(link, { force: true })
    fs.symlinkSync(port.path, link)
    return {
      unplug: Effect.andThen(Effect.sync(() => fs.rmSync(link, { force: true })), Scope.close(scope, Exit.void))
    }
  })
  return { link, plug }
})
