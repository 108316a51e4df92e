import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { BIN, run, sampleline, tempFolder } from "./process.ts"
import { expectRefused, type Refusal } from "./refusals.ts"

const REFUSALS: ReadonlyArray<Refusal> = [
  {
    args: "--simulate 1 --out b.xlsx",
    code: 2,
    line: "--out b.xlsx: unknown file extension; use .csv, .jsonl, .db, .sqlite, .sqlite3, .parquet, a postgres:// URL"
  },
  { args: "--simulate 1 --out b.csv --out ./b.csv", code: 2, line: "--out ./b.csv is given twice" },
  { args: "--simulate 1 --out b.csv --out b.db --table a;b", code: 2, line: "table is \"a;b\": expected a letter" },
  { args: "--simulate 1 --out b.csv --out exists.csv/b.db", code: 1, line: "a part of its path is a file" },
  { args: "--simulate 1 --out b.csv --out text.db --append", code: 1, line: "it is not an intact SQLite database" },
  { args: "--simulate 1 --out b.csv --out text.db", code: 1, line: "already exists" },
  { args: "--simulate 1 --out exists.csv --out link.csv --append", code: 2, line: "--out link.csv is given twice" },
  {
    args: "--simulate 1 --out b.csv --out exists.parquet",
    code: 1,
    line: "already exists, and a Parquet file cannot be"
  },
  { args: "--simulate 1 --out b.csv --out killed.parquet", code: 1, line: "killed.parquet.partial exists" },
  {
    args: "--simulate 1 --out b.csv --out postgres://127.0.0.1:1/lab",
    code: 1,
    line: "check that the server runs there"
  },
  {
    args: "--simulate 1 --out b.csv --out postgres://h/lab --table a;b",
    code: 2,
    line: "table is \"a;b\": expected"
  },
  {
    args: "--simulate 1 --out b.csv --out postgres://h/lab?a=b",
    code: 2,
    line: "no parameter \"a\"; understood are host,"
  },
  {
    args: "--simulate 1 --out b.csv --out host=h.csv",
    code: 2,
    line: "--out host=h.csv: write the address of a database as a URL, such as postgres://HOST/DATABASE"
  },
  {
    args: "--simulate 1 --out b.csv --out exists.csv",
    code: 1,
    line: "already exists; choose another name, or use mode \"append\" (--append)"
  },
  { args: "--simulate 1 --out b.csv --out exists.csv/c.csv", code: 1, line: "a part of its path is a file" },
  { args: "--simulate 1 --out exists.csv/b.csv", code: 1, line: "a part of its path is a file" },
  { args: "--simulate 1 --out b.csv --journal exists.csv/b", code: 1, line: "a part of its path is a file" },
  { args: "--simulate 1 --out b.csv --out foreign.csv --append", code: 1, line: "its header does not match" }
]

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("targets", (it) => {
  it.effect.each(REFUSALS)("$args is refused in one line, before any file is touched", expectRefused)

  it.effect("in a folder that cannot be written to are refused before any file is touched", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.mkdirSync(`${cwd}/locked`, { mode: 0o555 })
      fs.chmodSync(cwd, 0o755)
      // Root may write to every folder, but not to every file system.
      const locked = process.getuid?.() === 0 ? "/proc/sys/b.csv" : "locked/b.csv"
      const { code, stderr } = yield* sampleline(
        ["record", "--quiet", "--simulate", "1", "--out", "a.csv", "--out", locked],
        { cwd }
      )
      assert.strictEqual(code, 1)
      assert.match(stderr, /CsvSink cannot open .*b\.csv/)
      assert.isFalse(fs.existsSync(`${cwd}/a.csv`))
    }))

  it.effect("in a working directory that was deleted are refused in one line, if their path is relative", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const inDeleted = (args: string) =>
        run("sh", [
          "-c",
          `mkdir gone && cd gone && rmdir ../gone && exec "$0" "$@"`,
          process.execPath,
          BIN,
          ...args.split(" ")
        ], {
          cwd
        })
      for (const outs of ["--out a.csv", "--out a.csv --out b.csv", `--out ${cwd}/a.csv --out b.csv`]) {
        const { code, stderr } = yield* inDeleted(`record --simulate 1 --duration 100ms --quiet ${outs}`)
        assert.strictEqual(code, 1)
        assert.match(stderr, /^sampleline: --out \w\.csv: the working directory was deleted; .*\n$/)
      }
      const absolute = yield* inDeleted(
        `record --simulate 1 --duration 100ms --quiet --out ${cwd}/a.csv --out ${cwd}/b.csv`
      )
      assert.strictEqual(absolute.code, 0, absolute.stderr)
    }))
})
