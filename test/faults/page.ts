import type { Verdict } from './Checker';
import { PROMISES } from './HistoryEvent';
import type { Finding } from './Finding';
import { byKey, endOf } from './Reading';
import type { FaultSpan, LeaseSpan, Reading, WaitSpan } from './Reading';

/** px */
const SECOND = 110;
const [LABELS, AXIS, BAND, BAR, LINE, GAP] = [70, 22, 16, 18, 7, 14] as const;

/** What is drawn in a lane. */
interface Span {
    readonly from: number;
    readonly until: number;
}

/** A page to look at: for each lab a timeline, with keys as lanes, and what was found. */
export function timelinePage(verdicts: readonly Verdict[], command: string): string {
    const found = verdicts.reduce((sum, { violations }) => sum + violations.length, 0);
    const summary = found === 0 ? 'No promise was broken.' : `${found} times a promise was broken.`;
    return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Fault lab: ${found === 0 ? 'nothing broken' : `${found} violations`}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Fault lab</h1>
<p><code>${escaped(command)}</code> — <strong class="${found === 0 ? 'good' : 'bad'}">${summary}</strong></p>
<p class="legend">
<span><i class="holder"></i> holds the key, a colour per worker</span>
<span><i class="waiter"></i> waits for it</span>
<span><i class="lost"></i> ends because the lease was lost</span>
<span><i class="crash"></i> ends because its process was killed</span>
<span><i class="fault"></i> something is broken</span>
<span><i class="exempt"></i> … and some promises are not given</span>
<span><i class="violation"></i> a promise was broken</span>
</p>
${verdicts.map(section).join('\n')}
</body>
</html>
`;
}

const STYLE = `
body { font: 14px/1.4 system-ui, sans-serif; margin: 24px; color: #222; background: #fff }
h1 { font-size: 22px } h2 { font-size: 17px; margin-top: 32px }
.good { color: #176b2c } .bad { color: #c00 }
.legend span { margin-right: 18px; white-space: nowrap }
.legend i { display: inline-block; width: 26px; height: 12px; margin-right: 4px; vertical-align: -1px; box-sizing: border-box }
i.holder { background: #4e79a7 } i.waiter { height: 3px; background: #999; vertical-align: 3px }
i.lost { background: #4e79a7; border-right: 4px solid #000 } i.crash { background: #4e79a7; border-right: 4px dotted #c00 }
i.fault { background: #f4d9a8 } i.exempt { background: repeating-linear-gradient(45deg, #f4d9a8 0 4px, #fff 4px 8px) }
i.violation { border: 2px solid #e00; background: #ffd9d9 }
.scroll { overflow-x: auto; border: 1px solid #ccc }
ol.findings li { color: #c00 }
svg { display: block; font: 11px system-ui, sans-serif }
svg a { cursor: pointer }`;

/** One lab. */
function section({ reading, violations, exempted }: Verdict, number: number): string {
    const drawing = new Drawing(reading, `lab${number + 1}`);
    const grants = `${reading.leases.length} grants, ${reading.waits.length} acquisitions`;
    const clients = `${new Set(reading.leases.map(({ client }) => client)).size} clients`;
    const items = violations.map(
        ({ invariant, text }, at) =>
            `<li><a href="#lab${number + 1}-${at + 1}">${invariant}</a>, ${PROMISES[invariant]}: ${escaped(text)}</li>`,
    );
    const exempt = exempted.map(({ finding, fault }) => `${finding.invariant} after ${fault.name}`);
    return `<section>
<h2>Lab ${number + 1}: ${grants}, ${clients}, ${((reading.end - start(reading)) / 1000).toFixed(1)} s</h2>
${items.length > 0 ? `<ol class="findings">${items.join('')}</ol>` : ''}
<p>${exempt.length > 0 ? `Not counted, because the promise was not given: ${escaped(exempt.join('; '))}.` : ''}</p>
<div class="scroll">${drawing.svg(violations)}</div>
</section>`;
}

function start(reading: Reading): number {
    return reading.events[0]?.at ?? 0;
}

/** The timeline of a lab. */
class Drawing {
    private readonly _start: number;
    private readonly _width: number;
    private readonly _colours = new Map<string, string>();
    private _parts: string[] = [];
    private _y = AXIS;

    constructor(
        private readonly _reading: Reading,
        private readonly _id: string,
    ) {
        this._start = start(_reading);
        this._width = LABELS + ((_reading.end - this._start) / 1000) * SECOND + 20;
    }

    svg(violations: readonly Finding[]): string {
        const bands = rowsOf(
            this._reading.faults.map((fault) => ({ fault, from: fault.from, until: this._named(fault) })),
        );
        const names = this._y;
        this._y += bands.length * BAND + GAP;
        const lanes: string[] = [];
        const tops = new Map<string, readonly [number, number]>();
        const waits = byKey(this._reading.waits);
        for (const [key, leases] of [...byKey(this._reading.leases)].sort(([one], [other]) => (one < other ? -1 : 1))) {
            const top = this._y;
            this._parts = [];
            this._lane(key, leases, waits.get(key) ?? []);
            tops.set(key, [top, this._y]);
            lanes.push(`<g class="lane" data-key="${escaped(key)}">${this._parts.join('')}</g>`);
            this._y += GAP;
        }
        const height = this._y;
        const rects = this._reading.faults.map((fault) => this._fault(fault, height));
        const titles = bands.flatMap((row, at) => row.map(({ fault }) => this._name(fault, names + at * BAND)));
        const marks = violations.map((one, at) => {
            // What is found at one place is named side by side.
            const before = violations.slice(0, at).filter(({ key, from }) => key === one.key && near(from, one.from));
            return this._violation(one, `${this._id}-${at + 1}`, before.length, tops.get(one.key) ?? [AXIS, height]);
        });
        return [
            `<svg xmlns="http://www.w3.org/2000/svg" width="${px(this._width)}" height="${height}">`,
            '<defs><pattern id="stripes" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">',
            '<rect width="4" height="8" fill="#f4d9a8"/></pattern></defs>',
            ...rects,
            ...titles,
            this._axis(height),
            ...lanes,
            ...marks,
            '</svg>',
        ].join('');
    }

    private _lane(key: string, leases: readonly LeaseSpan[], waits: readonly WaitSpan[]): void {
        const bars = rowsOf(leases.map((lease) => ({ lease, from: lease.from, until: endOf(lease) })));
        const lines = rowsOf(
            waits
                .filter(({ lined }) => lined < Infinity)
                .map((wait) => ({ wait, from: wait.lined, until: Math.min(wait.until, this._reading.end) })),
        );
        const height = bars.length * BAR + lines.length * LINE;
        this._parts.push(
            `<rect x="0" y="${this._y - 3}" width="${px(this._width)}" height="${height + 6}" fill="#000" fill-opacity="0.03"/>`,
            `<text x="4" y="${this._y + 13}" font-weight="bold">${escaped(key)}</text>`,
        );
        for (const row of bars) {
            for (const { lease } of row) this._parts.push(this._holder(lease));
            this._y += BAR;
        }
        for (const row of lines) {
            for (const { wait, from, until } of row) {
                const title = `${wait.client} waited ${((until - from) / 1000).toFixed(3)} s, ${wait.outcome}`;
                this._parts.push(
                    `<rect class="waiter" ${this._across(from, until)} y="${this._y + 2}" height="3" fill="${this._colour(wait.client)}" fill-opacity="0.7"><title>${escaped(title)}</title></rect>`,
                );
            }
            this._y += LINE;
        }
    }

    private _holder(lease: LeaseSpan): string {
        const { client, from, fence, released, lost, crashed } = lease;
        const until = endOf(lease);
        const end = crashed <= until ? 'killed' : lost <= until || released > until ? 'lost' : 'released';
        const title = `${client}, fence ${fence ?? 'none'}: ${this._seconds(from)} to ${this._seconds(until)}, ${end}`;
        const [x, right] = [this._x(from), this._x(until)];
        const mark =
            end === 'released'
                ? ''
                : `<path d="M${px(right)} ${this._y}v${BAR - 3}" stroke="${end === 'killed' ? '#c00' : '#000'}" stroke-width="3"${end === 'killed' ? ' stroke-dasharray="2 2"' : ''}/>`;
        const label =
            right - x > 7 * client.length
                ? `<text x="${px(x + 3)}" y="${this._y + 12}" fill="#fff">${escaped(client)}</text>`
                : '';
        return `<g class="holder"><rect ${this._across(from, until)} y="${this._y}" height="${BAR - 3}" fill="${this._colour(client)}"><title>${escaped(title)}</title></rect>${mark}${label}</g>`;
    }

    private _fault(fault: FaultSpan, height: number): string {
        const { name, clients, exempts, tail, from, until } = fault;
        const exempt = exempts.length > 0 ? `; not promised: ${exempts.join(', ')}` : '';
        const title = `<title>${escaped(`${name}, touches ${clients?.join(', ') ?? 'all'}${exempt}`)}</title>`;
        const rect = (end: number, fill: string): string =>
            `<rect ${this._across(from, end)} y="${AXIS}" height="${height - AXIS}" fill="${fill}" fill-opacity="0.6">${title}</rect>`;
        const window = exempts.length > 0 ? rect(Math.min(until + tail, this._reading.end), 'url(#stripes)') : '';
        return `<g class="fault">${window}${rect(until, exempts.length > 0 ? '#e8a33d' : '#f4d9a8')}</g>`;
    }

    private _name({ name, from }: FaultSpan, y: number): string {
        return `<text x="${px(this._x(from) + 3)}" y="${y + 12}" fill="#7a4b00">${escaped(name)}</text>`;
    }

    private _violation(
        { invariant, from, until, text }: Finding,
        id: string,
        before: number,
        [top, bottom]: readonly [number, number],
    ): string {
        const [x, right] = [this._x(from), this._x(Math.min(until, this._reading.end))];
        return `<g class="violation" id="${id}"><rect x="${px(x - 2)}" width="${px(Math.max(right - x, 2) + 4)}" y="${top - 5}" height="${bottom - top + 10}" fill="#f00" fill-opacity="0.12" stroke="#e00" stroke-width="2"><title>${escaped(text)}</title></rect><text x="${px(x + 16 * before)}" y="${top - 7}" fill="#e00" font-weight="bold">${invariant}</text></g>`;
    }

    private _axis(height: number): string {
        const seconds = Math.floor((this._reading.end - this._start) / 1000);
        const ticks = Array.from({ length: seconds + 1 }, (_, second) => {
            const x = px(LABELS + second * SECOND);
            return `<path d="M${x} ${AXIS - 6}V${height}" stroke="#ccc" stroke-width="0.5"/><text x="${x}" y="12" fill="#666">${second} s</text>`;
        });
        return `<g class="axis">${ticks.join('')}</g>`;
    }

    /** Where the name of a fault ends: where it would run into the next one, a row is added. */
    private _named({ name, from }: FaultSpan): number {
        return from + ((name.length * 6.5) / SECOND) * 1000;
    }

    private _across(from: number, until: number): string {
        const x = this._x(from);
        return `x="${px(x)}" width="${px(Math.max(this._x(until) - x, 2))}"`;
    }

    private _x(at: number): number {
        return LABELS + ((at - this._start) / 1000) * SECOND;
    }

    private _seconds(at: number): string {
        return `${((at - this._start) / 1000).toFixed(3)} s`;
    }

    private _colour(client: string): string {
        const name = client.split('.')[0] ?? '';
        const known = this._colours.get(name) ?? COLOURS[this._colours.size % COLOURS.length] ?? '#777';
        this._colours.set(name, known);
        return known;
    }
}

const COLOURS = ['#4e79a7', '#59a14f', '#b07aa1', '#9c755f', '#e15759', '#76b7b2', '#edc948', '#ff9da7'];

/** Puts what overlaps into rows below each other. */
function rowsOf<T extends Span>(spans: readonly T[]): T[][] {
    const rows: { spans: T[]; until: number }[] = [];
    for (const span of spans) {
        const row = rows.find(({ until }) => until <= span.from);
        if (row === undefined) rows.push({ spans: [span], until: span.until });
        else {
            row.spans.push(span);
            row.until = span.until;
        }
    }
    return rows.map((row) => row.spans);
}

function near(one: number, other: number): boolean {
    return Math.abs(one - other) < 150;
}

function px(length: number): string {
    return length.toFixed(1);
}

function escaped(text: string): string {
    return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
