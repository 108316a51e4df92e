/**
 * What a process has used so far, as Linux tells it in `/proc`.
 */
import * as fs from "node:fs"

export interface ProcessUsage {
  /** User and system time of all threads, also of those that have ended. In steps of 10 ms. */
  readonly cpuSeconds: number
  /** How often a thread gave up its processor to wait: all threads that there are now. */
  readonly switches: number
  readonly residentMiB: number
  readonly highestResidentMiB: number
}

export const canMeasureProcesses = fs.existsSync("/proc/self/task")

/** Linux counts in these ticks on every processor that Node runs on. */
const TICKS_PER_SECOND = 100

export const usageOf = (pid: number): ProcessUsage => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
  // The name of the process comes before and may contain spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const [userTicks, systemTicks] = [Number(fields[11]), Number(fields[12])]
  const status = fs.readFileSync(`/proc/${pid}/status`, "utf8")
  return {
    cpuSeconds: (userTicks + systemTicks) / TICKS_PER_SECOND,
    switches: threadsOf(pid).reduce((sum, thread) => sum + entry(thread, "voluntary_ctxt_switches"), 0),
    residentMiB: entry(status, "VmRSS") / 1024,
    highestResidentMiB: entry(status, "VmHWM") / 1024
  }
}

/** The status of each thread. A thread may end meanwhile. */
const threadsOf = (pid: number): ReadonlyArray<string> =>
  fs.readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    try {
      return [fs.readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8")]
    } catch {
      return []
    }
  })

const entry = (status: string, name: string): number =>
  Number(new RegExp(String.raw`^${name}:\s*(\d+)`, "m").exec(status)![1])
