// Projects with their attributes and market, and finished ones kept as training data.
//
// Per project: how many contracts it has, how old the newest is, what a square foot costs in its market, and the mean
// size of the other projects there (the project itself is left out, so is every target).
MATCH (p:Project {tenantId: $tenantId})
OPTIONAL MATCH (p)-[:LOCATED_IN]->(m:Market {tenantId: $tenantId})
WITH p, head(collect(m)) AS market
OPTIONAL MATCH (p)-[:HAS_DEAL]->(d:Deal {tenantId: $tenantId})
WITH p, market, count(d) AS deals, max(d.closedOn) AS newest
WITH market, sum(p.sizeSqft) AS total, count(p.sizeSqft) AS known,
     collect({node: p, deals: deals, newest: newest}) AS members
UNWIND members AS member
WITH market, total, known, member.node AS p, member.deals AS deals, member.newest AS newest
RETURN p.entityId AS entity_id,
       p.sizeSqft AS project_size_sqft,
       p.numUnits AS num_units,
       p.locationTier AS location_tier,
       p.propertyType AS property_type,
       p.year AS year,
       market.pricePerSqft AS market_price_per_sqft,
       deals AS deal_count,
       duration.inDays(newest, $today).days AS newest_deal_age_days,
       CASE WHEN market IS NULL OR known < 2 OR p.sizeSqft IS NULL THEN null
            ELSE (total - p.sizeSqft) / toFloat(known - 1) END AS market_mean_size_sqft,
       null AS total_cost
UNION ALL
MATCH (t:TrainingData {tenantId: $tenantId, model_type: 'cost_forecasting'})
RETURN coalesce(t.entity_id, 'training-data-' + elementId(t)) AS entity_id,
       t.project_size_sqft AS project_size_sqft,
       t.num_units AS num_units,
       t.location_tier AS location_tier,
       t.property_type AS property_type,
       t.year AS year,
       null AS market_price_per_sqft,
       null AS deal_count,
       null AS newest_deal_age_days,
       null AS market_mean_size_sqft,
       coalesce(t.actual_cost, t.total_cost) AS total_cost
