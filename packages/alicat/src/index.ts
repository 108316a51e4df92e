/**
 * `Alicat.layer` gives the `PollSource`; `Simulator.make` gives ports to try it on.
 */
export * as Alicat from "./Alicat.ts"
export * as Simulator from "./Simulator.ts"
