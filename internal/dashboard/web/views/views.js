// The views of the page, for each program, in the order of their keys. A view has a name for its address, a title, and show, which fills
// an element and returns what ends it.

import { events } from './events.js';
import { limits } from './limits.js';
import { nodes } from './nodes.js';
import { overview as nodeOverview } from './ofnode/overview.js';
import { refusals as nodeRefusals } from './ofnode/refusals.js';
import { visitors as nodeVisitors } from './ofnode/visitors.js';
import { overview } from './overview.js';
import { services } from './services.js';
import { totals } from './totals.js';
import { visitors } from './visitors.js';

export const server = [overview, nodes, services, visitors, totals, limits, events];
export const node = [nodeOverview, nodeVisitors, nodeRefusals, events];
