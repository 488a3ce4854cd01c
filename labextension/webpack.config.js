// The ids that webpack chooses itself depend on where the sources lie; names do not: the same sources give the same bytes.
module.exports = { optimization: { moduleIds: 'named' } };
