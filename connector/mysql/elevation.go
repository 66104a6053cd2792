package mysql

const elevationPrefix = "t_elev_"
