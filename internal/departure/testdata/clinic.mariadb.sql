-- people
create table if not exists contacts (id uuid primary key, phone text not null, spoken json);
create table if not exists patients (practice varchar(80) not null, id int not null, name text not null, born date, contact uuid, primary key (practice, id), foreign key (contact) references contacts (id));
create table if not exists relatives (practice varchar(80) not null, patient int not null, id int not null, name text not null, primary key (practice, patient, id), foreign key (practice, patient) references patients (practice, id) on delete cascade on update cascade);
create table if not exists doctors (id int primary key, practice varchar(80) not null, name text not null, substitute int, foreign key (substitute) references doctors (id) on delete set null);
create table if not exists rooms (id int primary key, practice varchar(80), label text not null, head int, foreign key (head) references doctors (id));
create table if not exists wards (id int primary key, practice varchar(80) not null, label text not null, above int, foreign key (above) references wards (id));
create table if not exists beds (id int primary key, ward_id int not null, room_id int, label text not null, foreign key (ward_id) references wards (id) on delete restrict, foreign key (room_id) references rooms (id) on delete set null);
create table if not exists insurers (id int primary key, title text not null);
create table if not exists policies (id int primary key, practice varchar(80) not null, patient int not null, insurer_id int not null, number text not null, foreign key (practice, patient) references patients (practice, id), foreign key (insurer_id) references insurers (id));
create table if not exists letters (id int primary key, practice char(80) not null, body text not null, scan blob);
create table if not exists referrals (id int primary key, practice varchar(80) not null, by_doctor int, text text not null, foreign key (by_doctor) references doctors (id) on delete set null);

-- treatment
create table if not exists visits (id int primary key, practice varchar(80) not null, patient int not null, doctor_id int, urgency enum ('low', 'high') not null default 'low', first_note int, foreign key (practice, patient) references patients (practice, id), foreign key (doctor_id) references doctors (id));
create table if not exists visit_notes (id int primary key, visit_id int not null, body text not null, raw blob, foreign key (visit_id) references visits (id));
alter table visits add constraint visits_first foreign key if not exists visits_first (first_note) references visit_notes (id);
create table if not exists vitals (visit_id int not null, n int not null, at date not null, body json not null, primary key (visit_id, n), foreign key (visit_id) references visits (id));
create table if not exists diagnoses (id int primary key, visit_id int not null, code varchar(200) not null check (code <> ''), text text not null, foreign key (visit_id) references visits (id) on delete cascade);
create table if not exists prescriptions (id int primary key, diagnosis_id int not null, drug text not null, foreign key (diagnosis_id) references diagnoses (id));
create table if not exists doses (prescription_id int not null, n int not null, text text not null, primary key (prescription_id, n), foreign key (prescription_id) references prescriptions (id));
create table if not exists labs (id int primary key, practice varchar(80) not null, title text not null);
create table if not exists samples (id int primary key, visit_id int not null, lab_id int, tube text not null, foreign key (visit_id) references visits (id), foreign key (lab_id) references labs (id) on delete set null);
create table if not exists results (id int primary key, sample_id int not null, body json not null, seen_by int, foreign key (sample_id) references samples (id), foreign key (seen_by) references doctors (id) on delete set null);
create table if not exists images (id int primary key, practice varchar(80) not null, pixels longblob not null, caption text);
create table if not exists threads (id int primary key, practice varchar(80) not null, title text not null);
create table if not exists messages (id int primary key, thread_id int not null, answers int, body text not null, fulltext (body), foreign key (thread_id) references threads (id), foreign key (answers) references messages (id));
create table if not exists attachments (id int primary key, message_id int, body longblob not null, foreign key (message_id) references messages (id) on delete set null);
create table if not exists calendar (id int primary key, practice varchar(80) character set utf8mb4 collate utf8mb4_bin not null, what text not null, extra json as (json_object('what', what)) virtual);

-- what the law keeps
create table if not exists bills (id int primary key, practice varchar(80) not null, visit_id int, number varchar(100) not null, cents int not null check (cents > 0), foreign key (visit_id) references visits (id) on delete set null);
create table if not exists bill_lines (bill_id int not null, n int not null, text text not null, primary key (bill_id, n), foreign key (bill_id) references bills (id));
create table if not exists reminders (id int primary key, bill_id int not null, text text not null, foreign key (bill_id) references bills (id) on delete cascade);

create or replace trigger doctors_gone before delete on doctors for each row insert into SHARED.history (body) values (json_object('practice', old.practice, 'was', old.name));
create or replace trigger doctors_changed before update on doctors for each row insert into SHARED.history (body) values (json_object('practice', old.practice, 'was', old.name));
create or replace view open_bills as select b.id, b.number from bills b;
