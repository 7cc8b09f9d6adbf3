/** Prints what happens, a line each: when, to whom, what. */
export class Timeline {
    private readonly _started = performance.now();

    print(who: string, what: string): void {
        const seconds = ((performance.now() - this._started) / 1000).toFixed(2).padStart(6);
        console.log(`${seconds} s  ${who.padEnd(8)}  ${what}`);
    }
}
