// Properties with their usual figures, and months kept as training data.
//
// The relationship feature is the vacancy of the market; counts of deals say nothing about a month.
MATCH (p:Property {tenantId: $tenantId})
OPTIONAL MATCH (p)-[:LOCATED_IN]->(m:Market {tenantId: $tenantId})
WITH p, head(collect(m)) AS market
RETURN p.entityId AS entity_id,
       p.monthlyRevenue AS monthly_revenue,
       p.occupancyRate AS occupancy_rate,
       p.maintenanceCost AS maintenance_cost,
       p.tenantTurnover AS tenant_turnover,
       market.vacancyRate AS market_vacancy_rate
UNION ALL
MATCH (t:TrainingData {tenantId: $tenantId, model_type: 'anomaly_detection'})
RETURN coalesce(t.entity_id, 'training-data-' + elementId(t)) AS entity_id,
       t.monthly_revenue AS monthly_revenue,
       t.occupancy_rate AS occupancy_rate,
       t.maintenance_cost AS maintenance_cost,
       t.tenant_turnover AS tenant_turnover,
       null AS market_vacancy_rate
