/**
 * What `record` refuses: in one line, before any file is touched.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { sampleline, tempFolder } from "./process.ts"

export interface Refusal {
  readonly args: string
  readonly code: number
  /** A part of the line. */
  readonly line: string
}

export const expectRefused = Effect.fnUntraced(function*({ args, code, line }: Refusal) {
  const cwd = yield* tempFolder
  for (const name of ["exists.csv", "exists.parquet", "killed.parquet.partial"]) {
    fs.writeFileSync(`${cwd}/${name}`, "")
  }
  fs.writeFileSync(`${cwd}/foreign.csv`, "time,value\n1,2\n")
  fs.writeFileSync(`${cwd}/text.db`, "this is no database")
  fs.symlinkSync("exists.csv", `${cwd}/link.csv`)
  const before = fs.readdirSync(cwd)
  const result = yield* sampleline(["record", "--quiet", ...args.split(" ")], { cwd })
  assert.include(result.stderr, line)
  assert.strictEqual(result.stderr.trim().split("\n").length, 1)
  assert.isTrue(result.stderr.startsWith("sampleline: "))
  assert.strictEqual(result.code, code)
  assert.strictEqual(result.stdout, "")
  assert.deepStrictEqual(fs.readdirSync(cwd), before)
  assert.strictEqual(fs.readFileSync(`${cwd}/foreign.csv`, "utf8"), "time,value\n1,2\n")
})
