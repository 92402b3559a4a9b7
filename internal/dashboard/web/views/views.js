// The views of the page, in the order of their keys. A view has a name for its address, a title, and show, which fills
// an element and returns what ends it.

import { events } from './events.js';
import { limits } from './limits.js';
import { nodes } from './nodes.js';
import { overview } from './overview.js';
import { services } from './services.js';
import { totals } from './totals.js';
import { visitors } from './visitors.js';

export const views = [overview, nodes, services, visitors, totals, limits, events];
