/**
 * Devices whose units or columns change while they are recorded.
 */
import { assert, describe, it } from "@effect/vitest"
import { MemorySink, pipeToSink, type PollSource, Recorder, type Tick } from "@sampleline/core"
import { Clock, Effect, Exit, Scope, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Alicat from "../src/Alicat.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import { logged, pollUntil, scriptedPort } from "./ports.ts"

type Panel = (command: string, line: string) => string

/** As set at the panel: the flow in another unit. */
const slpm: Panel = (_, line) => line.replace(/^(A D05 .*)SCCM$/, "$1SLPM")

/** The totalizer is shown: a column more. */
const withTotalizer: Panel = (command, line) =>
  command === "A" || command === ""
    ? line.replace(/ +(\S+)$/, " +00012.5     $1")
    : line.replace(/^(A D07 703 Gas.*)$/, "A D11 100 Totalizer                  s decimal     9/1 008 02 SCC\r$1")

/** The last two numbers are shown in the other order. */
const reordered: Panel = (command, line) =>
  command === "A"
    ? line.replace(/(\S+) (\S+)( +\S+)$/, "$2 $1$3")
    : line.replace(/^A D05 .*$/, "A D05 037 Mass Flow Setpt            s decimal     7/2 012 02 SCCM")
      .replace(/^A D06 037.*$/, "A D06 005 Mass Flow                  s decimal     7/2 012 02 SCCM")

/** A device on a pty, whose panel can be used. `rowMillis` is the time that a row of its frame table takes. */
const panelPort = Effect.fnUntraced(function*() {
  const device = new SimulatedDevice()
  const at: { panel: Panel; rowMillis: number } = { panel: (_, line) => line, rowMillis: 0 }
  const port = yield* scriptedPort(
    (command) => device.respond(command, 0).map((line) => at.panel(command, line)).join("\r") || null,
    (command, write, reply) => {
      if (command !== "A??D*" || at.rowMillis === 0) return write(reply)
      for (const [n, row] of reply.split("\r").entries()) setTimeout(() => write(row), n * at.rowMillis)
    }
  )
  return { ...port, at, device, tablesAsked: () => port.commands.filter((command) => command === "A??D*").length }
})

/** Devices with a panel behind a link that stays when its port goes. */
const pluggablePanel = () => {
  const link = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "panel-")), "port")
  const plug = Effect.fnUntraced(function*(panel?: Panel) {
    const scope = yield* Scope.make()
    const port = yield* Scope.provide(panelPort(), scope)
    if (panel !== undefined) port.at.panel = panel
    fs.symlinkSync(port.path, link)
    return { ...port, unplug: Effect.andThen(Effect.sync(() => fs.rmSync(link)), Scope.close(scope, Exit.void)) }
  })
  return { link, plug }
}

const detailOf = Effect.fnUntraced(function*(source: PollSource["Service"]) {
  const { failures } = yield* source.poll(["fuel"])
  return failures[0]?.error.message ?? ""
})

const CHANGED = /fuel: its columns have changed at some time after (20\S+Z): (.*)\. It is not recorded until/

describe.concurrent("a device whose units or columns were changed", () => {
  it.live.each(
    [
      ["units", slpm, "Mass_Flow is in SLPM instead of SCCM"],
      ["columns", withTotalizer, "Totalizer is new"],
      ["order", reordered, "they are in another order"]
    ] as const
  )(
    "while its port was away is not recorded until they are as before: %s",
    ([, panel, change]) =>
      Effect.gen(function*() {
        const { link, plug } = pluggablePanel()
        const first = yield* plug()
        const source = yield* Alicat.make({ devices: { fuel: { port: link } } })
        const { format } = source.devices[0]!
        const goneAt = yield* Clock.currentTimeMillis
        yield* first.unplug
        yield* pollUntil(source, (reasons) => reasons.includes("fuel Disconnected"))
        const second = yield* plug(panel)
        const readings = yield* pollUntil(source, (reasons) => !reasons.includes("fuel Disconnected"))
        assert.deepStrictEqual(readings, [])
        const [, since = "", what] = CHANGED.exec(yield* detailOf(source)) ?? []
        assert.strictEqual(what, change)
        assert.isBelow(Date.parse(since), goneAt)
        // Each further look tells the same.
        const looks = second.tablesAsked()
        yield* pollUntil(source, () => second.tablesAsked() > looks + 1)
        assert.strictEqual(CHANGED.exec(yield* detailOf(source))?.[1], since)
        second.at.panel = (_, line) => line
        const [reading] = yield* pollUntil(source, (reasons) => reasons.length === 0)
        assert.strictEqual(reading!.frame.format, format)
        yield* second.unplug
      })
  )

  it.live.each(
    [
      ["the last rows", /^A D(?:0[5-9]|1).*/],
      ["a row", /^A D04.*/],
      ["the end of a label", /CM$/]
    ] as const
  )(
    "is not told as changed because the first table has lost %s when its port is back",
    ([, lost]) =>
      Effect.gen(function*() {
        const { link, plug } = pluggablePanel()
        const first = yield* plug()
        const source = yield* Alicat.make({ devices: { fuel: { port: link } } })
        yield* first.unplug
        yield* pollUntil(source, (reasons) => reasons.includes("fuel Disconnected"))
        let tables = 0
        const { unplug } = yield* plug((command, line) => {
          if (command === "A??D*" && line.startsWith("A D00")) tables++
          return command === "A??D*" && tables === 1 ? line.replace(lost, "") : line
        })
        const seen = new Set<string>()
        yield* pollUntil(source, (reasons) => {
          for (const reason of reasons) seen.add(reason)
          return reasons.length === 0
        })
        assert.deepStrictEqual([...seen], ["fuel Disconnected"])
        yield* unplug
      })
  )

  it.live("is asked for its columns after some replies that make no sense, and not polled until they are as before", () =>
    Effect.gen(function*() {
      const { at, path, tablesAsked } = yield* panelPort()
      const source = yield* Alicat.make({ devices: { fuel: { port: path } } })
      at.panel = withTotalizer
      yield* pollUntil(source, (reasons) => reasons.includes("fuel DeviceChanged"))
      assert.strictEqual(CHANGED.exec(yield* detailOf(source))?.[2], "Totalizer is new")
      at.panel = (_, line) => line
      yield* pollUntil(source, (reasons) => reasons.length === 0)
      // Noise alone asks more and more rarely.
      const before = tablesAsked()
      at.panel = (command, line) => command === "A" ? "A noise" : line
      let malformed = 0
      while (malformed < 40) {
        const { failures } = yield* source.poll(["fuel"])
        if (failures[0]?.error.cause !== undefined) malformed++
        yield* Effect.sleep("5 millis")
      }
      assert.strictEqual(tablesAsked() - before, 2)
    }))

  it.live("while it streams is stopped, asked for its columns, and not recorded until they are as before", () =>
    Effect.gen(function*() {
      const { at, device, path, write } = yield* panelPort()
      const talk = setInterval(() => {
        if (device.pushesEveryMillis !== null) write(at.panel("", device.push(0)))
      }, 5)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(talk)))
      let seen = 0
      let isChanged = false
      const summary = yield* Alicat.recordStreaming().pipe(
        Stream.tap((tick) =>
          Effect.sync(() => {
            seen += tick.samples.length
            if (seen === 5 && !isChanged) at.panel = withTotalizer
            if (tick.failures[0]?.error.reason !== "DeviceChanged") return
            isChanged = true
            at.panel = (_, line) => line
          })
        ),
        Stream.takeUntil(() => isChanged && seen >= 10),
        pipeToSink(),
        Effect.provide([MemorySink.layer, Alicat.layer({ devices: { fuel: { port: path } } })])
      )
      assert.include(summary.changedDevices["fuel"], "Totalizer is new")
      assert.isNull(device.pushesEveryMillis)
    }))
})

describe.concurrent("units that change without a trace in the readings", () => {
  const record = Effect.fnUntraced(function*(
    port: string,
    rateHz: number,
    onTick: (tick: Tick) => Effect.Effect<unknown>,
    until: (tick: Tick) => boolean
  ) {
    return yield* Recorder.record({ rateHz }).pipe(
      Stream.tap(onTick),
      Stream.takeUntil(until),
      pipeToSink(),
      Effect.provide([MemorySink.layer, Alicat.layer({ devices: { fuel: { port } } })])
    )
  })

  it.live.each([2, 10])(
    "are noticed at %i Hz in the time between two polls, and make no tick late",
    (rateHz) =>
      Effect.gen(function*() {
        const { at, path } = yield* panelPort()
        let failed = false
        const { lines, value: summary } = yield* logged(record(
          path,
          rateHz,
          (tick) =>
            Effect.sync(() => {
              if (tick.index === 1) at.panel = slpm
              if (tick.failures.length > 0) {
                failed = true
                at.panel = (_, line) => line
              }
            }),
          (tick) => failed && tick.samples.length > 0
        ))
        assert.deepStrictEqual(Object.keys(summary.changedDevices), ["fuel"])
        assert.include(summary.changedDevices["fuel"], "Mass_Flow is in SLPM instead of SCCM")
        assert.include(lines.join("\n"), "Mass_Flow is in SLPM instead of SCCM")
        assert.strictEqual(summary.ticksSkipped, 0)
      })
  )

  it.live.each(
    [
      ["rows", /^A D(?:0[7-9]|1).*/, 2],
      ["the end of a label", /CM$/, 3]
    ] as const
  )("are not believed of a table that has lost %s", ([, lost, tables]) =>
    Effect.gen(function*() {
      const { at, path, tablesAsked } = yield* panelPort()
      at.panel = (command, line) => command === "A??D*" && tablesAsked() === 2 ? line.replace(lost, "") : line
      let askedAt = Number.POSITIVE_INFINITY
      const summary = yield* record(
        path,
        2,
        ({ index }) => Effect.sync(() => (askedAt = tablesAsked() < tables ? askedAt : Math.min(askedAt, index))),
        ({ index }) => index === askedAt + 2
      )
      assert.deepStrictEqual(summary.changedDevices, {})
      assert.deepStrictEqual(summary.failures, { fuel: 0 })
    }))

  it.live("are not looked for where the table takes longer than there is time", () =>
    Effect.gen(function*() {
      const { at, path, tablesAsked } = yield* panelPort()
      at.rowMillis = 40
      const summary = yield* record(path, 5, () => Effect.void, (tick) => tick.index === 40)
      assert.strictEqual(summary.samplesEmitted, 41)
      assert.strictEqual(tablesAsked(), 1)
    }))

  it.live("are given up if the table suddenly takes longer, and cost only the readings that are due until it has come", () =>
    Effect.gen(function*() {
      const { at, path, commands, tablesAsked } = yield* panelPort()
      const failures: Array<string> = []
      const summary = yield* record(
        path,
        5,
        (tick) =>
          Effect.sync(() => {
            at.rowMillis = 40
            failures.push(...tick.failures.map(({ error }) => error.message))
          }),
        (tick) => tick.index === 60
      )
      assert.strictEqual(tablesAsked(), 2)
      assert.strictEqual(commands.filter((command) => command === "A??M*").length, 1)
      assert.strictEqual(summary.ticksSkipped, 0)
      assert.deepStrictEqual([...new Set(failures)], [
        "fuel: it is still sending its columns, which were asked for to check them"
      ])
      assert.isAtLeast(summary.samplesEmitted, 55)
    }))
})

describe.concurrent("a device that shares its port", () => {
  /** The devices fuel (A) and air (B) behind a link. Only fuel has a panel. A table comes this long after its command. */
  const sharedPort = (tableMillis: number) => {
    const link = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "shared-")), "port")
    const [fuel, air] = [new SimulatedDevice(), new SimulatedDevice({ unitId: "B", serialNumber: 2 })]
    const at: { panel: Panel; tables: number } = { panel: (_, line) => line, tables: 0 }
    const plug = Effect.fnUntraced(function*() {
      const scope = yield* Scope.make()
      yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
      const port = yield* scriptedPort(
        (command) => {
          if (command === "A??D*") at.tables++
          const lines = fuel.respond(command, 0).map((line) => at.panel(command, line))
          return [...lines, ...air.respond(command, 0)].join("\r") || null
        },
        (command, write, reply) =>
          /\?\?/.test(command) ? void setTimeout(() => write(reply), tableMillis) : write(reply)
      ).pipe(Scope.provide(scope))
      fs.symlinkSync(port.path, link)
      return { unplug: Effect.andThen(Effect.sync(() => fs.rmSync(link)), Scope.close(scope, Exit.void)) }
    })
    return { at, link, plug, devices: { fuel: { port: link }, air: { port: link, unit: "B" } } }
  }

  const record = (
    devices: Alicat.AlicatOptions["devices"],
    rateHz: number,
    onTick: (tick: Tick) => Effect.Effect<unknown, unknown, Scope.Scope>,
    until: (tick: Tick) => boolean
  ) =>
    Recorder.record({ rateHz }).pipe(
      Stream.tap(onTick),
      Stream.takeUntil(until),
      pipeToSink(),
      Effect.provide([MemorySink.layer, Alicat.layer({ devices })]),
      logged
    )

  const failureOf = (tick: Tick, name: string) =>
    tick.failures.find(({ device }) => device === name)?.error.message ?? ""

  const has = (tick: Tick, name: string) => tick.samples.some(({ device }) => device === name)

  it.live("and was changed is recorded again when it is as before, and makes no tick of the others late", () =>
    Effect.gen(function*() {
      const { at, devices, plug } = sharedPort(100)
      yield* plug()
      let isChanged = false
      const { value: summary } = yield* record(
        devices,
        2,
        (tick) =>
          Effect.sync(() => {
            if (tick.index === 1) at.panel = slpm
            if (!failureOf(tick, "fuel").includes("Mass_Flow is in SLPM")) return
            isChanged = true
            at.panel = (_, line) => line
          }),
        (tick) => isChanged && has(tick, "fuel")
      )
      assert.strictEqual(summary.ticksSkipped, 0)
      assert.strictEqual(summary.failures["air"], 0)
    }))

  it.live("and was replaced is recorded again when it is back, and makes no tick of the others late", () =>
    Effect.gen(function*() {
      const { at, devices, plug } = sharedPort(100)
      const { unplug } = yield* plug()
      const { serial, own }: Record<"serial" | "own", Panel> = {
        serial: (_, line) => line.replace("Serial Number 100000", "Serial Number 8"),
        own: (_, line) => line
      }
      let [isBack, isOther] = [false, false]
      let skipped = 0
      yield* record(
        devices,
        2,
        (tick) =>
          Effect.gen(function*() {
            if (isBack) skipped += tick.skipped
            if (tick.index === 2) {
              at.panel = serial
              yield* unplug
              yield* plug()
            }
            isBack ||= tick.index > 2 && has(tick, "air")
            if (!failureOf(tick, "fuel").includes("serial number 8 instead of 100000")) return
            isOther = true
            at.panel = own
          }),
        (tick) => isOther && has(tick, "fuel")
      )
      assert.strictEqual(skipped, 0)
    }))

  it.live("and was changed is not asked again where polls leave no time, and its failure says so", () =>
    Effect.gen(function*() {
      const { at, devices, plug } = sharedPort(400)
      const { unplug } = yield* plug()
      let isBack = false
      let skipped = 0
      let told = Number.POSITIVE_INFINITY
      const { lines } = yield* record(
        devices,
        10,
        (tick) =>
          Effect.gen(function*() {
            if (isBack) skipped += tick.skipped
            if (tick.index === 5) {
              at.panel = slpm
              yield* unplug
              yield* plug()
            }
            isBack ||= tick.index > 5 && has(tick, "air")
            const message = failureOf(tick, "fuel")
            if (!message.includes("It is not asked again")) return
            told = Math.min(told, tick.index)
            assert.match(
              message,
              /its columns have changed .*: set them back, or start again\. It is not asked again: its table takes 4\d\d ms, and the polls on its port leave less\. Start again when it is as before, or record at a lower rate$/
            )
          }),
        (tick) => tick.index > told + 60
      )
      assert.strictEqual(skipped, 0)
      assert.strictEqual(
        lines.filter((line) => line.includes("fuel: it has changed, and it is not asked again")).length,
        1
      )
    }))

  it.live("and sends replies that make no sense is asked for its columns only between two polls", () =>
    Effect.gen(function*() {
      const { at, devices, plug } = sharedPort(400)
      yield* plug()
      let asked = 0
      const { lines, value: summary } = yield* record(
        devices,
        10,
        (tick) =>
          Effect.sync(() => {
            if (tick.index === 1) asked = at.tables
            at.panel = tick.index >= 5 && tick.index < 40 ? withTotalizer : (_, line) => line
          }),
        (tick) => tick.index > 40 && has(tick, "fuel")
      )
      assert.strictEqual(at.tables, asked)
      assert.strictEqual(summary.ticksSkipped, 0)
      assert.strictEqual(summary.failures["air"], 0)
      assert.strictEqual(lines.filter((line) => line.startsWith("fuel: its replies make no sense")).length, 1)
    }))

  it.live("and sends replies that make no sense is told as changed where there is time", () =>
    Effect.gen(function*() {
      const { at, devices, plug } = sharedPort(50)
      yield* plug()
      const { value: summary } = yield* record(
        devices,
        5,
        (tick) => Effect.sync(() => at.panel = tick.index >= 5 ? withTotalizer : at.panel),
        (tick) => failureOf(tick, "fuel").includes("Totalizer is new")
      )
      assert.strictEqual(summary.ticksSkipped, 0)
      assert.strictEqual(summary.failures["air"], 0)
    }))
})

describe.concurrent("a field that always fails", () => {
  it.live("costs no reading where there is time to ask for the columns between two polls", () =>
    Effect.gen(function*() {
      const { at, path, tablesAsked } = yield* panelPort()
      const summary = yield* Recorder.record({ rateHz: 10 }).pipe(
        Stream.tap(({ index }) =>
          Effect.sync(() => {
            if (index === 2) at.panel = (command, line) => command === "A" ? line.replace(/\+0\d/, "+0x") : line
          })
        ),
        Stream.takeUntil(({ index }) => index === 60),
        pipeToSink(),
        Effect.provide([MemorySink.layer, Alicat.layer({ devices: { fuel: { port: path } } })])
      )
      assert.strictEqual(summary.samplesEmitted, 61)
      assert.isAtLeast(tablesAsked(), 3)
    }))
})
