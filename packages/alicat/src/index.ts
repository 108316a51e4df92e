/**
 * `Alicat.layer` gives the `PollSource`. `Simulator.make` gives simulated devices to try it on.
 */
export * as Alicat from "./Alicat.ts"
export * as Simulator from "./simulator/Simulator.ts"
