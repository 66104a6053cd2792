do $$ begin create type urgency as enum ('low', 'high'); create domain code as text check (value <> ''); exception when duplicate_object then null; end $$;

-- people
create table if not exists contacts (id uuid primary key, phone text not null, spoken text[] not null default '{}');
create table if not exists patients (practice text not null, id int not null, name text not null, born date, contact uuid references contacts, primary key (practice, id));
create table if not exists relatives (practice text not null, patient int not null, id int not null, name text not null, primary key (practice, patient, id), foreign key (practice, patient) references patients on delete cascade);
create table if not exists doctors (id int primary key, practice text not null, name text not null, substitute int references doctors on delete set null);
create table if not exists rooms (id int primary key, practice text, label text not null, head int references doctors);
create table if not exists wards (id int primary key, practice text not null, label text not null, above int references wards);
create table if not exists beds (id int primary key, ward_id int not null references wards on delete restrict, room_id int references rooms on delete set null, label text not null);
create table if not exists insurers (id int primary key, title text not null);
create table if not exists policies (id int primary key, practice text not null, patient int not null, insurer_id int not null references insurers, number text not null, foreign key (practice, patient) references patients);
create table if not exists letters (id int primary key, practice text not null, body text not null, scan oid);
create table if not exists referrals (id int primary key, practice text not null, by_doctor int references doctors on delete set null, text text not null);

-- treatment
create table if not exists visits (id int primary key, practice text not null, patient int not null, doctor_id int references doctors, urgency urgency not null default 'low', first_note int, foreign key (practice, patient) references patients);
create table if not exists visit_notes (id int primary key, visit_id int not null references visits, body text not null, raw bytea);
do $$ begin alter table visits add constraint visits_first foreign key (first_note) references visit_notes; exception when duplicate_object then null; end $$;
create table if not exists vitals (visit_id int not null references visits, at date not null, body jsonb not null) partition by range (at);
create table if not exists vitals_old partition of vitals for values from ('2020-01-01') to ('2025-01-01') partition by hash (visit_id);
create table if not exists vitals_old_0 partition of vitals_old for values with (modulus 2, remainder 0);
create table if not exists vitals_old_1 partition of vitals_old for values with (modulus 2, remainder 1);
create table if not exists vitals_new partition of vitals default;
create table if not exists diagnoses (id int primary key, visit_id int not null references visits on delete cascade, code code not null, text text not null);
create table if not exists prescriptions (id int primary key, diagnosis_id int not null references diagnoses, drug text not null);
create table if not exists doses (prescription_id int not null references prescriptions, n int not null, text text not null, primary key (prescription_id, n));
create table if not exists labs (id int primary key, practice text not null, title text not null);
create table if not exists samples (id int primary key, visit_id int not null references visits, lab_id int references labs on delete set null, tube text not null);
create table if not exists results (id int primary key, sample_id int not null references samples, body jsonb not null, seen_by int references doctors on delete set null);
create table if not exists images (id int primary key, practice text not null, pixels oid not null, caption text);
create table if not exists threads (id int primary key, practice text not null, title text not null);
create table if not exists messages (id int primary key, thread_id int not null references threads, answers int references messages, body text not null);
create table if not exists attachments (id int primary key, message_id int references messages on delete set null, body bytea not null);
create table if not exists calendar (id int primary key, practice text not null, what text not null);
create table if not exists calendar_copies (extra text, primary key (id)) inherits (calendar);

-- what the law keeps
create table if not exists bills (id int primary key, practice text not null, visit_id int references visits on delete set null, number text not null, cents int not null check (cents > 0));
create table if not exists bill_lines (bill_id int not null references bills, n int not null, text text not null, primary key (bill_id, n));
create table if not exists reminders (id int primary key, bill_id int not null references bills on delete cascade, text text not null);

create or replace function recall() returns trigger language plpgsql set search_path from current as $$ begin
  insert into platform.history (body) values (jsonb_build_object('practice', old.practice, 'was', to_jsonb(old)));
  if tg_op = 'DELETE' then return old; end if;
  return new;
end $$;
create or replace trigger doctors_recalled before delete or update on doctors for each row execute function recall();
create or replace view open_bills as select b.id, b.number from bills b;
create materialized view if not exists drugs as select drug, count(*) as n from prescriptions group by 1;
