package server

// nouns register the routes, a noun's in the file of its name.
func nouns() []func(*Server) {
	return []func(*Server){
		tenantRoutes, planRoutes, operationRoutes, eventRoutes, blueprintRoutes, holdRoutes, findingRoutes, secretRoutes,
		auditRoutes, logRoutes, checkpointRoutes, policyRoutes, systemRoutes, clockRoutes, storeRoutes, certificateRoutes, keyRoutes, meRoutes,
		campaignRoutes, agreementRoutes, moveRoutes, impactRoutes,
		signInRoutes, accessRoutes, fleetRoutes, departureRoutes, leaseRoutes, leaveRoutes, checklistRoutes, vendorRoutes, elevationRoutes,
		approvalRoutes, standingRoutes, delegationRoutes, coverageRoutes, triggerRoutes, noticeRoutes, noticeSettingRoutes,
	}
}
