import { assert, describe, it } from "@effect/vitest"
import { DeviceError, InvalidOptionError, MemorySink, pipeToSink, Recorder, SampleSink } from "@sampleline/core"
import { Deferred, Effect, Exit, Fiber, Stream } from "effect"
import * as Alicat from "../src/Alicat.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import * as Simulator from "../src/simulator/Simulator.ts"
import { pollUntil, scriptedPort } from "./ports.ts"

/** A device on a pty, and the commands that it got. */
const streamingPort = (pushed: (line: string) => string = (line) => line) =>
  Effect.gen(function*() {
    const device = new SimulatedDevice({ numbered: true })
    const { commands, path, write } = yield* scriptedPort((command) => device.respond(command, 0).join("\r") || null)
    const talk = setInterval(() => {
      if (device.pushesEveryMillis !== null) write(pushed(device.push(0)))
    }, 5)
    yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(talk)))
    return { port: path, commands, device, push: write }
  })

const open = Effect.fnUntraced(function*(devices: Alicat.AlicatOptions["devices"]) {
  const instruments = yield* Alicat.make({ devices })
  return {
    instruments,
    provide: Effect.provideService(Alicat.Instruments, instruments),
    stream: (name: string, options?: Alicat.StreamOptions) =>
      Stream.provideService(Alicat.stream(name, options), Alicat.Instruments, instruments)
  }
})

describe.concurrent("Alicat.stream", () => {
  it.live.each([{ firmware: "10v20", unit: " " }, { firmware: "GP07", unit: "@" }] as const)(
    "gives every reading that a device of firmware $firmware sends by itself, in order",
    ({ firmware }) =>
      Effect.gen(function*() {
        const [fuel] = yield* Simulator.make({ firmware, numbered: true })
        const { instruments, stream } = yield* open({ fuel: fuel! })
        const samples = yield* Stream.runCollect(Stream.take(stream("fuel"), 20))
        const numbers = samples.map(({ frame }) => Number(frame.values.at(-2)))
        assert.deepStrictEqual(numbers, numbers.map((_, n) => numbers[0]! + n))
        assert.deepStrictEqual(samples.map(({ sequence }) => sequence), numbers.map((_, n) => n))
        assert.isTrue(
          samples.every(({ device, latencyMicros, unitId }) =>
            device === "fuel" && unitId === "A" && latencyMicros === 0
          )
        )
        // The device was stopped and its last lines thrown away: this reply belongs to this request.
        const { readings } = yield* instruments.poll(["fuel"])
        assert.isAbove(Number(readings[0]!.frame.values.at(-2)), numbers.at(-1)!)
      })
  )

  it.live.each(["\n  ", "\0 ", "\xff@ ", "\xff  ", "\xfe\xff ", ""])(
    "gives every reading of a device whose lines begin with %j",
    (start) =>
      Effect.gen(function*() {
        const { port } = yield* streamingPort((line) => `${start}${line.trim()}`)
        const { instruments } = yield* open({ fuel: { port } })
        const summary = yield* Alicat.recordStreaming().pipe(
          Stream.takeUntil((tick) => (tick.samples[0]?.sequence ?? 0) >= 17),
          pipeToSink(),
          Effect.provide(MemorySink.layer),
          Effect.provideService(Alicat.Instruments, instruments)
        )
        assert.deepInclude(summary, { samplesEmitted: 18, failures: { fuel: 0 }, fieldFailures: {} })
      })
  )

  it.live("starts, stops and sets devices of older firmware by their own commands", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice({ numbered: true })
      const newer = new Map([["A@=@", "A@ @"], ["@@=A", "@@ A"]])
      let millis = 50
      const { commands, path, write } = yield* scriptedPort((command) => {
        const interval = /^AW91=(\d+)$/.exec(command)
        if (interval !== null) {
          millis = Number(interval[1])
          return `A   091 = ${millis}`
        }
        if (command === "ANCS 5") return "?"
        if (command === "A@ @" || command === "@@ A") return null
        return device.respond(newer.get(command) ?? command, 0).join("\r") || null
      })
      const talk = setInterval(() => {
        if (device.pushesEveryMillis !== null) write(device.push(0))
      }, 5)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(talk)))
      device.respond("A@ @", 0)
      const { instruments, stream } = yield* open({ fuel: { port: path } })
      const samples = yield* Stream.runCollect(Stream.take(stream("fuel", { interval: "5 millis" }), 20))
      assert.strictEqual(samples.length, 20)
      assert.strictEqual(millis, 5)
      assert.includeMembers(commands, ["@@ A", "@@=A", "ANCS 5", "AW91=5", "A@ @", "A@=@"])
      assert.isNull(device.pushesEveryMillis)
      assert.strictEqual((yield* instruments.poll(["fuel"])).readings.length, 1)
    }))

  it.live("sets the interval of the device", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const { stream } = yield* open({ fuel: fuel! })
      const samples = yield* Stream.runCollect(Stream.take(stream("fuel", { interval: "200 millis" }), 4))
      assert.isAtLeast(samples[3]!.receivedAt - samples[0]!.receivedAt, 2 * 200_000)
    }))

  it.live("stops the device however it ends, and until then fails other requests without sending a byte", () =>
    Effect.gen(function*() {
      const { commands, device, port } = yield* streamingPort()
      const { instruments, stream } = yield* open({ fuel: { port } })
      const ends: ReadonlyArray<
        readonly [string, (began: Deferred.Deferred<void>) => Effect.Effect<unknown, unknown>]
      > = [
        [
          "taken enough",
          (began) =>
            Stream.runDrain(Stream.take(Stream.tap(stream("fuel"), () => Deferred.succeed(began, undefined)), 50))
        ],
        [
          "a failure",
          (began) =>
            Stream.runDrain(Stream.mapEffect(Stream.drop(stream("fuel"), 50), () => Effect.fail("no more"))).pipe(
              Effect.exit,
              Effect.andThen(Deferred.succeed(began, undefined))
            )
        ],
        ["an interruption", (began) =>
          Effect.gen(function*() {
            const running = yield* Effect.forkChild(
              Stream.runForEach(stream("fuel"), () => Deferred.succeed(began, undefined))
            )
            yield* Deferred.await(began)
            yield* Effect.sleep("100 millis")
            yield* Fiber.interrupt(running)
          })],
        ["the end of the run", (began) =>
          Alicat.recordStreaming().pipe(
            Stream.tap(() => Deferred.succeed(began, undefined)),
            pipeToSink(),
            Recorder.endWhen(Effect.sleep("500 millis")),
            Effect.provide(MemorySink.layer),
            Effect.provideService(Alicat.Instruments, instruments)
          )]
      ]
      for (const [how, end] of ends) {
        const began = yield* Deferred.make<void>()
        const running = yield* Effect.forkChild(end(began))
        yield* Deferred.await(began)
        if (how !== "a failure") {
          const sent = commands.length
          const { failures } = yield* instruments.poll(["fuel"])
          assert.deepStrictEqual(failures.map(({ error }) => error.reason), ["Busy"], how)
          assert.include(failures[0]!.error.message, "unit A streams on")
          const second = yield* Effect.flip(Stream.runDrain(stream("fuel")))
          assert.deepInclude(second, { _tag: "DeviceError", reason: "Busy" })
          assert.strictEqual(commands.length, sent, how)
        }
        yield* Fiber.join(running)
        assert.isNull(device.pushesEveryMillis, how)
        assert.strictEqual((yield* instruments.poll(["fuel"])).readings.length, 1, how)
      }
    }))

  it.live("gives garbled lines as failures, and restarts a device that has stopped", () =>
    Effect.gen(function*() {
      const { device, port, push } = yield* streamingPort()
      const { instruments } = yield* open({ fuel: { port } })
      let seen = 0
      const summary = yield* Alicat.recordStreaming().pipe(
        Stream.tap(() =>
          Effect.sync(() => {
            seen++
            if (seen === 5) push(" +014.62 +0\xff")
            if (seen === 20) device.respond("@@ A", 0)
          })
        ),
        Stream.takeUntil(() => seen > 40),
        pipeToSink(),
        Effect.provide(MemorySink.layer),
        Effect.provideService(Alicat.Instruments, instruments)
      )
      assert.strictEqual(summary.failures["fuel"], 2)
      assert.strictEqual(summary.samplesEmitted, summary.ticks - 2)
      assert.isNull(device.pushesEveryMillis)
    }))

  it.live("delivers every reading that came before the end of the run, however slow the sink is", () =>
    Effect.gen(function*() {
      const { device, port } = yield* streamingPort()
      const { instruments } = yield* open({ fuel: { port } })
      const numbers: Array<number> = []
      const summary = yield* Alicat.recordStreaming({ bufferSize: 2 }).pipe(
        pipeToSink({ batchSize: 20, stopTimeout: "1 minute" }),
        Recorder.endWhen(Effect.repeat(Effect.sleep("10 millis"), { until: () => device.readings > 150 })),
        Effect.provide(SampleSink.layer({
          name: "slow",
          write: (batch) =>
            Effect.andThen(
              Effect.sleep("300 millis"),
              Effect.sync(() => numbers.push(...batch.map(({ frame }) => Number(frame.values.at(-2)))))
            )
        })),
        Effect.provideService(Alicat.Instruments, instruments)
      )
      assert.deepStrictEqual(numbers, numbers.map((_, n) => numbers[0]! + n))
      // The device had sent 150 readings when it was stopped, and some were on their way. The sink had taken a third of them.
      assert.isAbove(numbers.length, 100)
      assert.strictEqual(summary.samplesEmitted, numbers.length)
    }))

  it.live("waits long enough for a slow device whose interval is unknown", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const { instruments, stream } = yield* open({ fuel: fuel! })
      yield* Stream.runDrain(Stream.take(stream("fuel", { interval: "1200 millis" }), 1))
      const summary = yield* Alicat.recordStreaming().pipe(
        Stream.takeUntil((tick) => (tick.samples[0]?.sequence ?? 0) >= 3),
        pipeToSink(),
        Effect.provide(MemorySink.layer),
        Effect.provideService(Alicat.Instruments, instruments)
      )
      assert.strictEqual(summary.samplesEmitted, 4)
      assert.isAtMost(summary.failures["fuel"]!, 2)
    }))

  it.live("goes on when its port has vanished and is back", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ pluggable: true })
      const { instruments } = yield* open({ fuel: fuel! })
      let samples = 0
      const reach = (wanted: number) => Effect.repeat(Effect.sleep("10 millis"), { until: () => samples >= wanted })
      const recording = yield* Alicat.recordStreaming().pipe(
        Stream.tap((tick) => Effect.sync(() => samples += tick.samples.length)),
        pipeToSink(),
        Effect.provide(MemorySink.layer),
        Effect.provideService(Alicat.Instruments, instruments),
        Recorder.endWhen(Effect.gen(function*() {
          yield* reach(5)
          yield* fuel!.unplug
          yield* Effect.sleep("600 millis")
          yield* Effect.orDie(fuel!.plug())
          yield* reach(samples + 5)
        })),
        Effect.forkChild
      )
      const summary = yield* Fiber.join(recording)
      assert.isAbove(summary.failures["fuel"]!, 0)
      assert.deepStrictEqual(summary.silentDevices, [])
      yield* pollUntil(instruments, (reasons) => reasons.length === 0)
    }))

  it.live("makes one recording of several devices on separate ports", () =>
    Effect.gen(function*() {
      const [a, b] = yield* Simulator.make({ devices: 2, tcp: 0 })
      const { instruments } = yield* open({ a: a!, b: b! })
      const summary = yield* Alicat.recordStreaming({ interval: "20 millis", duration: "1 second" }).pipe(
        pipeToSink(),
        Effect.provide(MemorySink.layer),
        Effect.provideService(Alicat.Instruments, instruments)
      )
      assert.deepStrictEqual(summary.silentDevices, [])
      assert.isAbove(summary.samplesEmitted, 2)
      assert.strictEqual(summary.samplesLate, 0)
    }))

  it.live("refuses two devices on one port, unknown devices, and intervals that no device takes", () =>
    Effect.gen(function*() {
      const [a, b] = yield* Simulator.make({ devices: 2, units: 2, firmware: "GP07" })
      const { instruments, stream } = yield* open({ a: a!, b: b! })
      const fail = (streaming: Stream.Stream<unknown, InvalidOptionError | DeviceError>) =>
        Effect.flip(Stream.runDrain(streaming))
      const both = yield* fail(
        Stream.provideService(Alicat.recordStreaming(), Alicat.Instruments, instruments)
      )
      assert.instanceOf(both, InvalidOptionError)
      assert.include(both.message, "one device to stream on")
      assert.include((yield* fail(stream("c"))).message, "expected one of a, b")
      for (const interval of [-1, 0.5, "1 day"] as const) {
        assert.instanceOf(yield* fail(stream("a", { interval })), InvalidOptionError, String(interval))
      }
    }))

  it.live("refuses a device that cannot stream", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ firmware: "BASIS", tcp: 0 })
      const columns = ["Temp:°C", "Flow:SCCM", "Total", "Setpt:SCCM", "Valve:%", "Gas:text"]
      const { stream } = yield* open({ fuel: { port: fuel!.port, columns } })
      const error = yield* Effect.flip(Stream.runDrain(stream("fuel")))
      assert.instanceOf(error, DeviceError)
      assert.include(
        error.message,
        "it cannot stream (firmware unknown); poll it (in the command: record it without --stream)"
      )
    }))

  it.live.each([null, "?"])(
    "refuses an interval that a device does not take, whose reply to unknown commands is %j",
    (unknown) =>
      Effect.gen(function*() {
        const device = new SimulatedDevice()
        const { commands, path } = yield* scriptedPort((command) =>
          /NCS|W91/.test(command) ? unknown : device.respond(command, 0).join("\r") || null
        )
        const { stream } = yield* open({ fuel: { port: path } })
        const error = yield* Effect.flip(Stream.runDrain(stream("fuel", { interval: "20 millis" })))
        assert.instanceOf(error, DeviceError)
        assert.include(
          error.message,
          "its interval cannot be set (firmware 10v20.0-R24); leave the interval out (in the command: --rate)"
        )
        assert.includeMembers(commands, ["ANCS 20", "AW91=20", "A$$W91=20"])
        assert.isNull(device.pushesEveryMillis)
      })
  )

  /** A device without tables that is silent on commands that it does not know. */
  const tersePort = (known: ReadonlyArray<RegExp>) =>
    Effect.gen(function*() {
      const device = new SimulatedDevice({ firmware: "10v20" })
      const port = yield* scriptedPort((command) =>
        [/^A?$/, ...known].some((form) => form.test(command)) ? device.respond(command, 0).join("\r") || null : null
      )
      const talk = setInterval(() => {
        if (device.pushesEveryMillis !== null) port.write(device.push(0))
      }, 5)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(talk)))
      const columns = ["Press:PSIA", "Temp:°C", "Volume:CCM", "Mass:SCCM", "Setpt:SCCM", "Gas:text"]
      const instruments = yield* Alicat.make({ devices: { fuel: { port: port.path, columns } }, timeout: "50 millis" })
      return {
        ...port,
        stream: (options?: Alicat.StreamOptions) =>
          Stream.provideService(Alicat.stream("fuel", options), Alicat.Instruments, instruments)
      }
    })

  it.live("refuses an interval that a device without tables does not take, if it is silent on it", () =>
    Effect.gen(function*() {
      const { commands, stream } = yield* tersePort([/@/])
      const error = yield* Effect.flip(Stream.runDrain(stream({ interval: "20 millis" })))
      assert.include(error.message, "its interval cannot be set (firmware unknown); leave the interval out")
      assert.includeMembers(commands, ["ANCS 20", "AW91=20", "A$$W91=20"])
    }))

  it.live("sets the interval of a device without tables by an older command, if it is silent on the newer one", () =>
    Effect.gen(function*() {
      const { commands, stream } = yield* tersePort([/@/, /^AW91/])
      const samples = yield* Stream.runCollect(Stream.take(stream({ interval: "20 millis" }), 3))
      assert.strictEqual(samples.length, 3)
      assert.notInclude(commands, "A$$W91=20")
    }))

  it.live("refuses a device that is silent on every command to stream, but answers a poll", () =>
    Effect.gen(function*() {
      const { commands, stream } = yield* tersePort([/W91/])
      const error = yield* Effect.flip(Stream.runDrain(stream({ interval: "20 millis" })))
      assert.include(error.message, "it cannot stream (firmware unknown); poll it")
      assert.includeMembers(commands, ["A@ @", "A@=@"])
    }))

  it.live("sets the interval by an older command if the device is silent on the newer one", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      const { commands, path, write } = yield* scriptedPort((command) =>
        command.startsWith("ANCS") ? null : device.respond(command, 0).join("\r") || null
      )
      const talk = setInterval(() => {
        if (device.pushesEveryMillis !== null) write(device.push(0))
      }, 5)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(talk)))
      const { stream } = yield* open({ fuel: { port: path } })
      yield* Stream.runDrain(Stream.take(stream("fuel", { interval: "20 millis" }), 3))
      assert.include(commands, "AW91=20")
      assert.notInclude(commands, "A$$W91=20")
    }))

  it.live("sets the interval of GP firmware, which wants $$ before it", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ firmware: "GP07", tcp: 0 })
      const { stream } = yield* open({ fuel: fuel! })
      const samples = yield* Stream.runCollect(Stream.take(stream("fuel", { interval: "200 millis" }), 4))
      assert.isAtLeast(samples[3]!.receivedAt - samples[0]!.receivedAt, 2 * 200_000)
    }))

  it.live("stops the device if its layer is closed first", () =>
    Effect.gen(function*() {
      const { device, port } = yield* streamingPort()
      const exit = yield* Stream.runForEach(Alicat.stream("fuel"), () => Effect.interrupt).pipe(
        Effect.provide(Alicat.layer({ devices: { fuel: { port } } })),
        Effect.exit
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.isNull(device.pushesEveryMillis)
    }))
})
