/**
 * The live table on a real terminal, whose screen an emulator reads.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { lockDatabase } from "./lockDatabase.ts"
import { sampleline, tempFolder } from "./process.ts"
import { startOnTerminal, startShell } from "./pty.ts"
import { eventually, fileGrowsBeyond, rowsOf } from "./recordings.ts"

const ESCAPE = "\u001b"
const RECORD = ["record", "--simulate", "2", "--rate", "50", "--flush-interval", "100ms", "--out", "a.csv"]

interface Screen {
  readonly screen: () => ReadonlyArray<string>
}

const shows = ({ screen }: Screen, wanted: RegExp) => eventually(() => screen().some((line) => wanted.test(line)))

const lineOf = ({ screen }: Screen, wanted: RegExp) =>
  screen().find((line) => wanted.test(line)) ?? assert.fail(`no ${wanted} in\n${screen().join("\n")}`)

const ROW = /^sim1 +ok +<1 s +\d/

/** Whether the terminal was last asked to say no longer what is pasted. */
const leavesPastes = (text: string) => text.lastIndexOf("\u001b[?2004h") < text.lastIndexOf("\u001b[?2004l")

/** What the table says of a device. */
const valuesOf = (screen: Screen, device: string) => {
  const [name, state, , , ...values] = lineOf(screen, new RegExp(`^${device} `)).split(/ +/)
  return { name, state, values }
}

const rowsKeepComing = (cwd: string) =>
  Effect.suspend(() => fileGrowsBeyond(`${cwd}/a.csv`, fs.statSync(`${cwd}/a.csv`).size))

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("the live table", (it) => {
  it.effect("shows what is recorded; p freezes it, m marks, q ends the recording with its summary and the log lines", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const terminal = yield* startOnTerminal([...RECORD, "--duration", "60s"], cwd)
      yield* shows(terminal, ROW)
      yield* shows(terminal, /^0:00:0\d of 0:01:00, 0:00:5\d left {3}\d+(?:\.\d)? of 50 ticks\/s/)
      yield* shows(terminal, /^a\.csv +writing +[1-9]\d* rows +[\d.]+ kB +keeps up +[\d.]+ [GT]B free/)
      yield* shows(terminal, /^journal a\.csv\.journal +[\d.]+ kB +\d+ samples and events to write/)
      yield* terminal.type("mvalve öpened")
      yield* shows(terminal, /mark at \d\.\d s: valve öpened$/)
      yield* terminal.type("\r")
      yield* shows(terminal, /INFO marked "valve öpened"/)

      yield* terminal.type("\u001b[200~pasted\rq\u001b[201~m\u001b[200~gas\rpqm\u001b[201~")
      yield* shows(terminal, /mark at \d\.\d s: gas pqm$/)
      yield* terminal.type("\r")
      yield* shows(terminal, /INFO marked "gas pqm"/)

      yield* terminal.type("p")
      yield* shows(terminal, /^PAUSED/)
      const frozen = terminal.screen()
      yield* rowsKeepComing(cwd)
      yield* rowsKeepComing(cwd)
      assert.deepStrictEqual(terminal.screen(), frozen)
      const devices = ["sim1", "sim2"].map((device) => valuesOf(terminal, device))
      yield* terminal.type("p")
      yield* shows(terminal, /^m mark {3}p pause {3}q end$/)
      yield* eventually(() => terminal.screen().join() !== frozen.join())

      yield* terminal.type("q")
      assert.strictEqual(yield* terminal.exit, 130)
      const rows = rowsOf(`${cwd}/a.csv`)
      const fields = ["Abs_Press", "Flow_Temp", "Volu_Flow", "Mass_Flow", "Mass_Flow_Setpt"]
      for (const { name, values } of devices) {
        const isShown = (row: typeof rows[number]) =>
          row["device"] === name && row["Gas"] === values[5]
          && fields.every((field, at) => Number(row[field]) === Number(values[at]))
        assert.isTrue(rows.some(isShown), `${name} ${values.join(" ")}`)
      }
      yield* eventually(terminal.isOnNormalScreen)
      const left = terminal.text().slice(terminal.text().lastIndexOf("\u001b[?1049l"))
      for (const text of ["INFO marked \"valve öpened\"", "INFO CsvSink closed", "INFO ended by SIGINT"]) {
        assert.include(left, text)
      }
      assert.include(left, `recorded ${rows.length} samples in `)
      assert.isTrue(leavesPastes(terminal.text()))
      // What was logged before the table is not printed twice.
      assert.notInclude(left, "CsvSink opened")
    }))

  it.effect("fits the terminal as it is resized, and gives way to a line where there is no room; j and k scroll", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const args = ["record", "--simulate", "10", "--out", "a.csv", "--no-journal"]
      const terminal = yield* startOnTerminal(args, cwd, { cols: 120, rows: 40 })
      const devices = () => terminal.screen().flatMap((line) => /^sim\d+(?= +ok)/.exec(line) ?? [])
      const all = Array.from({ length: 10 }, (_, n) => `sim${n + 1}`)
      yield* shows(terminal, /^sim10 +ok.*[▁▂▃▄▅▆▇█]/)
      assert.deepStrictEqual(devices(), all)
      terminal.resize(80, 14)
      yield* shows(terminal, /^… and 6 more of 10$/)
      assert.deepStrictEqual(devices(), all.slice(0, 4))
      yield* shows(terminal, /^m mark {3}p pause {3}j k scroll {3}q end$/)
      yield* terminal.type("jj")
      yield* eventually(() => devices()[0] === "sim3")
      yield* terminal.type("\u001b[6~")
      yield* eventually(() => devices()[0] === "sim7")
      yield* terminal.type("k")
      yield* eventually(() => devices().join() === all.slice(5, 9).join())
      terminal.resize(40, 10)
      yield* eventually(terminal.isOnNormalScreen)
      yield* shows(terminal, /^\d+\.\d s {3}\d+ samples {3}m marks$/)
      terminal.resize(80, 24)
      yield* eventually(() => devices().length === 10)
      assert.isFalse(terminal.isOnNormalScreen())
      terminal.kill("SIGTERM")
      assert.strictEqual(yield* terminal.exit, 143)
      yield* eventually(terminal.isOnNormalScreen)
    }))

  it.effect("never comes before fg from the background, and gives the terminal back to the shell while it is stopped", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const shell = yield* startShell(cwd, "xterm-256color")
      const mode = yield* shell.mode
      const shown = () => shell.text().split("\u001b[?1049h").length - 1
      yield* shell.type(`$SAMPLELINE ${RECORD.join(" ")} &\n`)
      yield* shell.expect(/CsvSink opened/)
      yield* rowsKeepComing(cwd)
      assert.strictEqual(yield* shell.ask("echo mqp"), "mqp")
      assert.strictEqual(shown(), 0)
      yield* shell.type("fg\n")
      yield* shows(shell, ROW)
      assert.isFalse(leavesPastes(shell.text()))
      yield* shell.type("\u001a")
      yield* shell.expect(/Stopped/)
      assert.isTrue(leavesPastes(shell.text().slice(0, shell.text().indexOf("Stopped"))))
      yield* eventually(shell.isOnNormalScreen)
      assert.strictEqual(yield* shell.mode, mode)
      yield* shell.type("bg\n")
      yield* rowsKeepComing(cwd)
      yield* rowsKeepComing(cwd)
      assert.strictEqual(yield* shell.ask("echo mqp"), "mqp")
      assert.strictEqual(shown(), 1)
      yield* shell.type("fg\n")
      yield* shows(shell, ROW)
      assert.strictEqual(shown(), 2)
      yield* shell.type("q")
      yield* shell.expect(/INFO ended by SIGINT/)
      assert.strictEqual(yield* shell.mode, mode)
      yield* eventually(shell.isOnNormalScreen)
    }))

  it.effect.each(
    [
      ["the table", [], ROW],
      ["the status line", ["--plain"], /late ticks/]
    ] as const
  )(
    "and %s cost no tick while the terminal takes nothing, and neither does the end",
    ([, args, shown]) =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const terminal = yield* startOnTerminal([...RECORD, ...args], cwd)
        yield* shows(terminal, shown)
        yield* terminal.stall
        const from = rowsOf(`${cwd}/a.csv`).length
        yield* Effect.sleep("2 seconds")
        const rows = rowsOf(`${cwd}/a.csv`)
        const times = rows.filter(({ device }) => device === "sim1").map((row) => Date.parse(row["requested_at"]!))
        assert.isAbove(rows.length - from, 100)
        // One that waited for the terminal would have a gap of two seconds.
        assert.isBelow(Math.max(...times.slice(1).map((time, at) => time - times[at]!)), 1000)
        yield* terminal.readOn
        const { length } = terminal.text()
        yield* eventually(() => terminal.text().length > length)
        yield* shows(terminal, shown)

        yield* terminal.stall
        terminal.kill("SIGINT")
        yield* eventually(() => !fs.existsSync(`${cwd}/a.csv.journal`))
        yield* terminal.readOn
        assert.strictEqual(yield* terminal.exit, 0)
        yield* eventually(terminal.isOnNormalScreen)
        assert.include(terminal.text(), `recorded ${rowsOf(`${cwd}/a.csv`).length} samples in `)
      })
  )

  it.effect("says that the recording ends while an output gets what it lacks; q then does not cut that off", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const terminal = yield* startOnTerminal([...RECORD, "--out", "a.db"], cwd)
      yield* shows(terminal, /^a\.db +writing +[1-9]/)
      const locked = yield* lockDatabase(`${cwd}/a.db`)
      yield* shows(terminal, /^a\.db +\w+ .* [\d,]+ behind/)
      yield* terminal.type("q")
      yield* shows(terminal, /^ENDING: outputs get what they lack {3}Ctrl-C leaves at once$/)
      yield* terminal.type("q")
      locked.exec("ROLLBACK")
      assert.strictEqual(yield* terminal.exit, 0)
      assert.include(terminal.text(), `a.db: ${rowsOf(`${cwd}/a.csv`).length} rows`)
    }))

  it.effect("has no colour with NO_COLOR, and is ASCII where the locale is no UTF-8", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const env = { NO_COLOR: "1", LC_ALL: "C", LANG: "C.UTF-8" }
      const terminal = yield* startOnTerminal(RECORD, cwd, { env })
      yield* shows(terminal, /^sim1 +ok .* [_.=^-]+$/)
      yield* terminal.type("q")
      assert.strictEqual(yield* terminal.exit, 0)
      assert.deepStrictEqual(terminal.text().match(new RegExp(`${ESCAPE}\\[[\\d;]*3\\dm`, "g")), null)
      assert.isBelow(
        Math.max(...Array.from(terminal.text().replaceAll("°", ""), (character) => character.codePointAt(0)!)),
        128
      )
    }))

  it.effect.each(
    [
      ["--plain", ["--plain"], {}],
      ["a terminal that says it is dumb", [], { TERM: "dumb" }]
    ] as const
  )("is a status line with %s", ([, args, env]) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const terminal = yield* startOnTerminal([...RECORD, ...args, "--no-journal"], cwd, { env })
      yield* terminal.printed(/[1-9]\d* samples {3}\d+ late ticks {3}\d+ failures {3}m marks/)
      yield* terminal.type("q\u0003")
      assert.strictEqual(yield* terminal.exit, 0)
      assert.notInclude(terminal.text(), "\u001b[?1049h")
    }))

  it.effect.each([
    { what: "Ctrl-\\", code: -3, signal: "SIGQUIT", text: "" },
    { what: "an error that nobody catches", code: 1, signal: "SIGUSR2", text: "Error: bug" }
  ])("leaves the terminal as it was after $what", ({ code, signal, text }) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.writeFileSync(`${cwd}/bug.cjs`, "process.on('SIGUSR2', () => { throw new Error('bug') })\n")
      const terminal = yield* startOnTerminal(RECORD, cwd, { env: { NODE_OPTIONS: "--require ./bug.cjs" } })
      yield* shows(terminal, ROW)
      terminal.kill(signal)
      assert.strictEqual(yield* terminal.exit, code)
      yield* eventually(terminal.isOnNormalScreen)
      const left = terminal.text().slice(terminal.text().lastIndexOf("\u001b[?1049l"))
      assert.include(left, text)
      assert.notInclude(left, "\u001b[?25l")
      assert.isTrue(leavesPastes(terminal.text()))
    }))
})

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("watch", (it) => {
  it.effect("is the table without outputs on a terminal, until q; nothing is marked", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const terminal = yield* startOnTerminal(["watch", "--simulate", "2"], cwd)
      yield* shows(terminal, ROW)
      yield* shows(terminal, /^0:00:0\d {3}[\d.]+ of 2 ticks\/s/)
      yield* shows(terminal, /^p pause {3}q end$/)
      yield* terminal.type("p")
      yield* shows(terminal, /^PAUSED: the picture stands still {3}p go on {3}q end$/)
      yield* terminal.type("mq")
      assert.strictEqual(yield* terminal.exit, 0)
      yield* eventually(terminal.isOnNormalScreen)
      assert.notInclude(terminal.text(), "mark at")
      assert.deepStrictEqual(fs.readdirSync(cwd), [])
    }))

  it.effect("is a line for each device on a terminal that is too small, at once", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const terminal = yield* startOnTerminal(["watch", "--simulate", "2"], cwd, { cols: 79, rows: 40 })
      for (const device of ["sim1", "sim2"]) {
        yield* terminal.printed(new RegExp(`\\d\\d:\\d\\d:\\d\\d ${device}: ok {3}Abs_Press [\\d.]+ PSIA {3}`))
      }
      yield* terminal.printed(/\d late ticks/)
      yield* terminal.type("\u0003")
      assert.strictEqual(yield* terminal.exit, 0)
      assert.isTrue(terminal.isOnNormalScreen())
    }))

  it.effect.each(["--rate 10 --duration 1s", "--duration 300ms"])(
    "is a line for each device without a terminal, at once, also of one tick: %s",
    (flags) =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const { code, stderr, stdout } = yield* sampleline(["watch", "--simulate", "2", ...flags.split(" ")], { cwd })
        assert.strictEqual(code, 0, stderr)
        const line = (device: string, gas: string) =>
          `\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d ${device}: ok {3}Abs_Press [\\d.]+ PSIA {3}.*Mass_Flow [\\d.]+ SCCM.*Gas ${gas}\\n`
        assert.match(stdout, new RegExp(`^${line("sim1", "N2")}${line("sim2", "Air")}$`))
      })
  )
})
