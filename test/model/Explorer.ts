import { canonical } from './canonical';
import { calmMoveOf, movesOf } from './moves';
import type { Move, WorldOptions } from './Move';
import { World } from './World';

export interface ExplorerOptions extends WorldOptions {
    /** Longest sequence of moves; Infinity: all there are. */
    readonly depth: number;
    /** How many ticks may pass until a live waiter is served, once nothing fails any more. */
    readonly bound: number;
}

export interface Exploration {
    readonly states: number;
    /** Of the states found last. */
    readonly depth: number;
    /** There is nothing beyond. */
    readonly complete: boolean;
    /** The longest time, in ticks, until every live waiter was served once nothing failed any more. */
    readonly slowest: number;
    readonly violation: Violation | undefined;
}

export interface Violation {
    readonly what: string;
    /** A shortest way there; then the calm moves after it, if it is one about waiters not served. */
    readonly moves: readonly Move[];
    readonly calm: readonly Move[];
}

interface Found {
    readonly world: World;
    readonly place: number;
}

/**
 * Visits every state that the moves of a World reach, the nearest first, and stops at the first that must not be: two
 * believers, a fence that does not rise, a live waiter who is not served.
 */
export class Explorer {
    private readonly _seen = new Set<string>();
    /** How each state was found: from which one, and by which of its moves. */
    private readonly _from: number[] = [];
    private readonly _by: number[] = [];
    /** Ticks from a state to the service of all that wait. */
    private readonly _ticks = new Map<string, number>();
    private _slowest = 0;
    private _violation: Violation | undefined;

    constructor(private readonly _options: ExplorerOptions) {}

    explore(progress: (depth: number, states: number) => void = () => undefined): Exploration {
        let frontier: Found[] = [];
        let depth = 0;
        this._visit(World.start(this._options), -1, 0, frontier);
        while (frontier.length > 0 && depth < this._options.depth && this._violation === undefined) {
            const next: Found[] = [];
            for (const found of frontier) this._expand(found, next);
            frontier = next;
            if (next.length > 0) depth += 1;
            progress(depth, this._seen.size);
        }
        return {
            states: this._seen.size,
            depth,
            complete: frontier.length === 0,
            slowest: this._slowest,
            violation: this._violation,
        };
    }

    private _expand({ world, place }: Found, frontier: Found[]): void {
        movesOf(world).forEach((move, by) => {
            if (this._violation === undefined) this._visit(world.apply(move), place, by, frontier);
        });
    }

    private _visit(world: World, from: number, by: number, frontier: Found[]): void {
        const present = canonical(world);
        const code = `${present} ${world.budget}`;
        if (this._seen.has(code) && world.violation === undefined) return;
        this._seen.add(code);
        const place = this._from.length;
        this._from.push(from);
        this._by.push(by);
        frontier.push({ world, place });
        if (world.violation !== undefined) {
            this._violation = { what: world.violation, moves: this._wayTo(place), calm: [] };
        } else if (world.isWaitedFor) this._serve(world, present, place);
    }

    /** Follows the calm run until all who wait are served, or to a state from which that is known. */
    private _serve(start: World, present: string, place: number): void {
        const run: { code: string; move: Move }[] = [];
        let world = start;
        let code = present;
        let ticks = this._ticks.get(code);
        let passed = 0;
        while (ticks === undefined && world.isWaitedFor && passed <= this._options.bound) {
            const move = calmMoveOf(world);
            run.push({ code, move });
            world = world.apply(move);
            if (move.kind === 'tick') passed += 1;
            code = canonical(world);
            ticks = this._ticks.get(code);
        }
        ticks ??= 0;
        for (const { code: earlier, move } of run.toReversed()) {
            if (move.kind === 'tick') ticks += 1;
            this._ticks.set(earlier, ticks);
        }
        this._slowest = Math.max(this._slowest, ticks);
        if (ticks <= this._options.bound) return;
        const what = `a live waiter is not served within ${this._options.bound} ticks`;
        this._violation = { what, moves: this._wayTo(place), calm: run.map(({ move }) => move) };
    }

    private _wayTo(place: number): Move[] {
        const choices: number[] = [];
        for (let at = place; (this._from[at] ?? -1) >= 0; at = this._from[at] ?? -1) choices.unshift(this._by[at] ?? 0);
        let world = World.start(this._options);
        return choices.map((choice) => {
            const move = movesOf(world)[choice];
            if (move === undefined) throw new Error('The way cannot be walked again.');
            world = world.apply(move);
            return move;
        });
    }
}
