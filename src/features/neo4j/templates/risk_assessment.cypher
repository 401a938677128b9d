// Properties with their attributes and market, and assessed ones kept as training data.
//
// Per property: how many deals it had, how old the newest is, and the mean age of the other properties of its market.
MATCH (p:Property {tenantId: $tenantId})
OPTIONAL MATCH (p)-[:LOCATED_IN]->(m:Market {tenantId: $tenantId})
WITH p, head(collect(m)) AS market
OPTIONAL MATCH (p)-[:HAS_DEAL]->(d:Deal {tenantId: $tenantId})
WITH p, market, count(d) AS deals, max(d.closedOn) AS newest
WITH market, sum(p.propertyAge) AS total, count(p.propertyAge) AS known,
     collect({node: p, deals: deals, newest: newest}) AS members
UNWIND members AS member
WITH market, total, known, member.node AS p, member.deals AS deals, member.newest AS newest
RETURN p.entityId AS entity_id,
       p.leverageRatio AS leverage_ratio,
       p.occupancyRate AS occupancy_rate,
       market.volatility AS market_volatility,
       p.propertyAge AS property_age,
       p.locationRiskScore AS location_risk_score,
       deals AS deal_count,
       duration.inDays(newest, $today).days AS newest_deal_age_days,
       CASE WHEN market IS NULL OR known < 2 OR p.propertyAge IS NULL THEN null
            ELSE (total - p.propertyAge) / toFloat(known - 1) END AS market_mean_property_age,
       null AS high_risk
UNION ALL
MATCH (t:TrainingData {tenantId: $tenantId, model_type: 'risk_assessment'})
RETURN coalesce(t.entity_id, 'training-data-' + elementId(t)) AS entity_id,
       t.leverage_ratio AS leverage_ratio,
       t.occupancy_rate AS occupancy_rate,
       t.market_volatility AS market_volatility,
       t.property_age AS property_age,
       t.location_risk_score AS location_risk_score,
       null AS deal_count,
       null AS newest_deal_age_days,
       null AS market_mean_property_age,
       coalesce(t.actual_risk, t.high_risk) AS high_risk
