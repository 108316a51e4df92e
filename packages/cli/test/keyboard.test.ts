/**
 * Keys on a real terminal, under a shell with job control.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { type EventRow, formatTimestamp, SampleClock } from "@sampleline/core"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { tempFolder } from "./process.ts"
import { type Shell, startOnTerminal, startShell } from "./pty.ts"
import { fileGrowsBeyond, linesOf } from "./recordings.ts"

const RECORD = "$SAMPLELINE record --simulate 1 --rate 50 --flush-interval 100ms --out a.csv"

const marksIn = (cwd: string) =>
  (linesOf(fs.readFileSync(`${cwd}/a.csv-events.jsonl`, "utf8")) as unknown as ReadonlyArray<EventRow>)
    .filter(({ event }) => event === "Marker")

const now = Effect.map(SampleClock.current, (clock) => formatTimestamp(clock.epochMicros()))

/** Waits for more rows than there are now. */
const rowsKeepComing = (cwd: string) =>
  Effect.suspend(() => fileGrowsBeyond(`${cwd}/a.csv`, fs.statSync(`${cwd}/a.csv`).size))

/** The recording in this folder. */
const pidIn = (cwd: string): number =>
  Number(
    fs.readdirSync("/proc").find((pid) =>
      /^\d+$/.test(pid) && linkOf(`/proc/${pid}/cwd`) === cwd
      && fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("\0record\0")
    ) ?? assert.fail("no recording")
  )

const linkOf = (path: string) => {
  try {
    return fs.readlinkSync(path)
  } catch {
    return null
  }
}

const stateOf = (pid: number) => fs.readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").slice(0, 1)

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("a key", (it) => {
  it.effect("m and a text set a mark at the time of the m; the status line tells of it and shows the text", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const shell = yield* startShell(cwd)
      const mode = yield* shell.mode
      yield* shell.type(`${RECORD}\n`)
      yield* shell.expect(/ failures {3}m marks/)
      const before = yield* now
      yield* shell.type("m")
      yield* shell.expect(/\d s {3}mark at \d+\.\d s: $/)
      const between = yield* now
      yield* shell.type("valve öpened")
      yield* shell.expect(/mark at \d+\.\d s: valve öpened$/)
      yield* shell.type("\r")
      yield* shell.expect(/INFO marked "valve öpened"/)
      yield* shell.expect(/ failures {3}m marks/)
      yield* shell.type("m\r")
      yield* shell.expect(/INFO marked "mark"/)
      yield* shell.type("\u0003")
      yield* shell.expect(/INFO ended by SIGINT/)
      assert.strictEqual(yield* shell.mode, mode)
      const [mark, nameless] = marksIn(cwd)
      assert.strictEqual(mark!.detail, "valve öpened")
      // Our clock has milliseconds.
      const at = `${mark!.at.slice(0, before.length - "000Z".length)}000Z`
      assert.isTrue(before <= at && at <= between, `${before} ${at} ${between}`)
      assert.strictEqual(nameless!.detail, "mark")
    }))

  it.effect("edits the text in place; Escape cancels, other keys do nothing", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const shell = yield* startShell(cwd)
      yield* shell.type(`${RECORD} --duration 60s\n`)
      yield* shell.expect(/m marks/)
      yield* shell.type("xqmwrong\u0015valves\u001b[D\u007f\t one")
      yield* shell.expect(/: valve one$/)
      yield* shell.type("\r")
      yield* shell.expect(/INFO marked "valve one"/)
      // A terminal that cannot say what is pasted.
      yield* shell.type("mpasted\rmother\rm")
      yield* shell.expect(/INFO marked "pasted"/)
      // Nobody sees when keys are read again.
      yield* Effect.repeat(Effect.delay(shell.type("m\u0015nothing"), "50 millis"), {
        until: () => shell.text().endsWith(": nothing")
      })
      yield* shell.expect(/: nothing$/)
      yield* shell.type("\u001b")
      yield* shell.expect(/m marks/)
      yield* shell.type(`m${"long ".repeat(80)}end`)
      yield* shell.expect(/long end$/)
      yield* shell.type("\u0003")
      yield* shell.expect(/WARN the mark "long .*long end" was not set: the recording ended before Enter/)
      assert.strictEqual(yield* shell.ask("echo $?"), "130")
      assert.deepStrictEqual(marksIn(cwd).map(({ detail }) => detail), ["valve one", "pasted"])
    }))

  it.effect("is read in the foreground only: Ctrl-Z, bg and fg", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const shell = yield* startShell(cwd)
      const mode = yield* shell.mode
      yield* shell.type(`${RECORD}\n`)
      yield* shell.expect(/m marks/)
      yield* shell.type("\u001a")
      yield* shell.expect(/Stopped/)
      assert.strictEqual(yield* shell.mode, mode)
      const pid = pidIn(cwd)
      assert.strictEqual(stateOf(pid), "T")
      yield* shell.type("bg\n")
      yield* shell.expect(/&/)
      assert.strictEqual(yield* shell.ask("echo mmm"), "mmm")
      yield* rowsKeepComing(cwd)
      assert.notStrictEqual(stateOf(pid), "T")
      assert.strictEqual(yield* shell.mode, mode)
      yield* shell.type("fg\n")
      yield* shell.expect(/m marks/)
      yield* shell.type("mback\r")
      yield* shell.expect(/INFO marked "back"/)
      yield* shell.type("\u0003")
      yield* shell.expect(/INFO ended by SIGINT/)
      assert.strictEqual(yield* shell.mode, mode)
      assert.deepStrictEqual(marksIn(cwd).map(({ detail }) => detail), ["back"])
    }))

  it.effect("Ctrl-Z stops the recording also while the mode of the terminal is set", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.mkdirSync(`${cwd}/slow`)
      for (const name of ["sh", "stty"]) {
        const script = `#!/bin/bash\necho > setting\nsleep 0.3\nexec /bin/${name} "$@"\n`
        fs.writeFileSync(`${cwd}/slow/${name}`, script, { mode: 0o755 })
      }
      const shell = yield* startShell(cwd)
      const mode = yield* shell.mode
      yield* shell.type(`PATH="$PWD/slow:$PATH" ${RECORD}\n`)
      yield* fileGrowsBeyond(`${cwd}/setting`, 0)
      yield* shell.type("\u001a")
      yield* shell.expect(/Stopped/)
      assert.strictEqual(yield* shell.mode, mode)
      yield* shell.type("fg\n")
      yield* shell.expect(/m marks/)
      yield* shell.type("mback\r")
      yield* shell.expect(/INFO marked "back"/)
      yield* shell.type("\u0003")
      yield* shell.expect(/INFO ended by SIGINT/)
      assert.strictEqual(yield* shell.mode, mode)
    }))

  it.effect("never stops a recording that was started with &, and fg gives it the keys", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const shell = yield* startShell(cwd)
      const mode = yield* shell.mode
      yield* shell.type(`${RECORD} &\n`)
      yield* shell.expect(/CsvSink opened/)
      const pid = pidIn(cwd)
      for (const word of ["mmm", "m", "more"]) {
        assert.strictEqual(yield* shell.ask(`echo ${word}`), word)
        yield* rowsKeepComing(cwd)
        assert.notStrictEqual(stateOf(pid), "T")
      }
      assert.strictEqual(yield* shell.mode, mode)
      assert.notMatch(shell.text(), /samples {3}\d+ late ticks/)
      yield* shell.type("fg\n")
      yield* shell.expect(/m marks/)
      yield* shell.type("mfirst\r")
      yield* shell.expect(/INFO marked "first"/)
      yield* shell.type("\u0003")
      yield* shell.expect(/INFO ended by SIGINT/)
      assert.strictEqual(yield* shell.mode, mode)
    }))

  it.effect("Ctrl-Z is ignored if no shell could continue the recording", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const terminal = yield* startOnTerminal(RECORD.split(" ").slice(1), cwd)
      yield* terminal.printed(/m mark/)
      yield* terminal.type("\u001a")
      yield* terminal.type("mgoes on\r")
      yield* terminal.printed(/marked "goes on"/)
      yield* rowsKeepComing(cwd)
      yield* terminal.type("\u0003")
      assert.strictEqual(yield* terminal.exit, 0)
    }))

  it.effect("is read again after a stop that the recording cannot hear of, and is left to the shell after bg", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const shell = yield* startShell(cwd)
      const mode = yield* shell.mode
      yield* shell.type(`${RECORD}\n`)
      yield* shell.expect(/m marks/)
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 0)
      const pid = pidIn(cwd)
      process.kill(pid, "SIGSTOP")
      yield* shell.expect(/Stopped/)
      yield* shell.type("bg\n")
      yield* rowsKeepComing(cwd)
      assert.strictEqual(yield* shell.ask("echo mmm"), "mmm")
      assert.notStrictEqual(stateOf(pid), "T")
      process.kill(pid, "SIGSTOP")
      // A shell that has not heard of the stop would not let it go on.
      yield* Effect.repeat(shell.ask("jobs -sp"), { until: (stopped) => stopped.includes(String(pid)) })
      yield* shell.type("fg\n")
      yield* shell.expect(/m marks/)
      yield* shell.type("magain\r")
      yield* shell.expect(/INFO marked "again"/)
      yield* shell.type("\u0003")
      yield* shell.expect(/INFO ended by SIGINT/)
      assert.strictEqual(yield* shell.mode, mode)
      assert.deepStrictEqual(marksIn(cwd).map(({ detail }) => detail), ["again"])
    }))
})

/** Runs the command in a shell that leaves the terminal as the command left it, and says its exit code and the mode. */
const runIn = (shell: Shell, cwd: string, command: string) => {
  fs.writeFileSync(`${cwd}/run.sh`, `trap : INT QUIT\n${command}\necho "[$?] [$(stty -g)]"\n`)
  return shell.type("sh run.sh\n")
}

const endIn = (shell: Shell) => Effect.map(shell.expect(/\[(\d+)\] \[(.*)\]/), ([, code, mode]) => ({ code, mode }))

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("the terminal", (it) => {
  it.effect.each([
    { what: "the end of the duration", code: "0", command: `${RECORD} --duration 1s` },
    { what: "a failure", code: "1", command: `${RECORD.replace("100ms", "1s")} --batch-size 1000`, full: true },
    {
      what: "an error that nobody catches",
      code: "1",
      command: `NODE_OPTIONS="--require ./bug.cjs" ${RECORD}`,
      signal: "SIGUSR2"
    },
    { what: "Ctrl-C", code: "0", command: RECORD, key: "\u0003" },
    { what: "Ctrl-\\", code: "131", command: RECORD, key: "\u001c" },
    { what: "SIGTERM", code: "143", command: RECORD, signal: "SIGTERM" },
    { what: "SIGHUP", code: "129", command: RECORD, signal: "SIGHUP" }
  ])("is as before after $what", ({ code, command, full, key, signal }) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const shell = yield* startShell(cwd)
      const mode = yield* shell.mode
      fs.writeFileSync(`${cwd}/bug.cjs`, "process.on('SIGUSR2', () => { throw new Error('bug') })\n")
      if (full === true) fs.symlinkSync("/dev/full", `${cwd}/a.csv`)
      yield* runIn(shell, cwd, command)
      yield* shell.expect(/m marks/)
      if (key !== undefined) yield* shell.type(key)
      if (signal !== undefined) process.kill(pidIn(cwd), signal)
      assert.deepStrictEqual(yield* endIn(shell), { code, mode })
    }))

  it.effect("is as before after a second Ctrl-C", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const shell = yield* startShell(cwd)
      const mode = yield* shell.mode
      // A pipe that is full, and that nobody reads: the run cannot end.
      yield* shell.type("mkfifo full.jsonl; exec 5<>full.jsonl; head -c 65536 /dev/zero >&5\n")
      yield* runIn(shell, cwd, `${RECORD} --out full.jsonl`)
      yield* shell.expect(/m marks/)
      const recording = pidIn(cwd)
      yield* shell.type("\u0003")
      // A key that comes when the recording has ended would end the script.
      const interrupt = Effect.ignore(Effect.try(() => process.kill(recording, "SIGINT")))
      yield* Effect.repeat(Effect.delay(interrupt, "50 millis"), {
        while: () => fs.existsSync(`/proc/${recording}`)
      })
      assert.deepStrictEqual(yield* endIn(shell), { code: "130", mode })
      assert.notInclude(shell.text(), "ended by")
      // The status line is erased before the prompt.
      assert.isAbove(shell.text().lastIndexOf("\u001b[K"), shell.text().lastIndexOf("m marks"))
    }))

  it.effect("is left to the program that has it when a recording in the background ends", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const shell = yield* startShell(cwd)
      yield* shell.type(`${RECORD} --duration 2s &\n`)
      yield* shell.expect(/CsvSink opened/)
      const recording = pidIn(cwd)
      yield* runIn(
        shell,
        cwd,
        `stty -echo -icanon; stty -g > during; while kill -0 ${recording} 2>/dev/null; do sleep 0.1; done`
      )
      const { mode } = yield* endIn(shell)
      assert.include(shell.text(), "ended: the duration is over")
      assert.strictEqual(mode, fs.readFileSync(`${cwd}/during`, "utf8").trim())
    }))

  it.effect.each([
    ["standard input is /dev/null", `${RECORD} < /dev/null`],
    ["standard input is a pipe", `: | ${RECORD}`],
    ["standard input is closed", `${RECORD} <&-`],
    ["another program of the pipeline may read keys", `${RECORD} --out - | cat > a.jsonl`],
    ["nothing would show them", `${RECORD} --quiet`]
  ])("is left alone, and no key is read, if %s", ([, command]) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const shell = yield* startShell(cwd)
      const terminal = yield* shell.ask("tty")
      yield* runIn(shell, cwd, command!)
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 0)
      yield* shell.type("mx\r")
      yield* rowsKeepComing(cwd)
      assert.include(spawnSync("stty", ["-F", terminal, "-a"], { encoding: "utf8" }).stdout, " echo ")
      yield* shell.type("\u0003")
      yield* endIn(shell)
      assert.notInclude(shell.text(), "m marks")
      assert.deepStrictEqual(marksIn(cwd), [])
    }))
})
