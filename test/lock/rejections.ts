import { rejection, type Rejection } from '../fixtures/rejection';

/** The errors that all of the promises reject with. */
export function rejections(promises: readonly Promise<unknown>[], code?: string): Promise<Rejection[]> {
    return Promise.all(promises.map((promise) => rejection(promise, code)));
}
